//! A name as the place resolves it: its hosts file first, then its resolver.

use super::{Bounds, Sight, words};

pub(super) async fn look(name: &str, bounds: Bounds) -> Sight {
    // A port is part of the call, not of the question.
    match tokio::time::timeout_at(bounds.deadline(), tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<String> = Vec::new();
            for address in found.map(|a| a.ip().to_string()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            let error = addresses.is_empty().then(|| "the name has no address".to_owned());
            Sight::Dns { addresses, error }
        }
        Ok(Err(error)) => Sight::Dns { addresses: Vec::new(), error: Some(words(&error)) },
        Err(_) => bounds.late("resolve"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::agent::{Look, Sight, looks::look};

    #[tokio::test]
    async fn localhost_resolves_and_an_invalid_name_does_not() {
        let sight = look(Look::Dns { name: "localhost".into() }, Duration::from_secs(5)).await;
        let Sight::Dns { addresses, error } = sight else { panic!("{sight:?}") };
        assert!(addresses.contains(&"127.0.0.1".to_owned()) || addresses.contains(&"::1".to_owned()), "{addresses:?}");
        assert_eq!(error, None);

        // Reserved by RFC 6761: no resolver may know it. A host without a resolver may take its time to say so.
        match look(Look::Dns { name: "db.invalid".into() }, Duration::from_secs(2)).await {
            Sight::Dns { addresses, error } => {
                assert_eq!(addresses, Vec::<String>::new());
                assert!(error.is_some());
            }
            Sight::No { stage, .. } => assert_eq!(stage, "resolve"),
            other => panic!("{other:?}"),
        }
    }
}
