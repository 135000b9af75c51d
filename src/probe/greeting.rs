//! What a MySQL server says first: its handshake, or why it will not talk. Both tell that it is one.

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Protocol 10: the version, and the number of this connection, which only grows while the server runs.
    Handshake { version: String, connection: u32 },
    /// An error instead of a handshake: this host may not connect, too many connections.
    Refusal { code: u16, message: String },
}

/// Reads it; none where something else talks.
pub fn read(bytes: &[u8]) -> Option<Greeting> {
    let [a, b, c, 0, rest @ ..] = bytes else { return None };
    let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
    let packet = rest.get(..length)?;
    match packet {
        [10, rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let version = std::str::from_utf8(&rest[..end]).ok()?;
            let number = rest.get(end + 1..end + 5)?;
            Some(Greeting::Handshake {
                // MariaDB hides behind a version that old replicas accept.
                version: version.strip_prefix("5.5.5-").unwrap_or(version).to_owned(),
                connection: u32::from_le_bytes(number.try_into().ok()?),
            })
        }
        [0xff, low, high, message @ ..] => Some(Greeting::Refusal {
            code: u16::from_le_bytes([*low, *high]),
            message: String::from_utf8_lossy(message).into_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Vec<u8> {
        [&[u8::try_from(payload.len()).unwrap(), 0, 0, 0], payload].concat()
    }

    #[test]
    fn a_handshake_names_version_and_connection() {
        let bytes = packet(b"\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x2a\x01\0\0abcdefgh\0");
        let version = "10.11.6-MariaDB-0+deb12u1".to_owned();
        assert_eq!(read(&bytes), Some(Greeting::Handshake { version, connection: 298 }));
    }

    #[test]
    fn a_refusal_is_a_greeting_too() {
        let bytes = packet(b"\xff\x6a\x04Host '172.18.0.3' is not allowed to connect");
        let Some(Greeting::Refusal { code, message }) = read(&bytes) else { panic!() };
        assert_eq!(code, 1130);
        assert!(message.starts_with("Host"));
    }

    #[test]
    fn others_are_not_taken_for_it() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"SSH-2.0-OpenSSH", b"", b"\x05\0\0", b"\xff\0\0\0\x0a", b"-ERR\r\n"]
        {
            assert_eq!(read(bytes), None);
        }
    }
}
