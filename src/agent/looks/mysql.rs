//! Statements on one connection to a MySQL server, over TCP only and without a pool, so that a server that went away
//! is seen and no other server on the way is mistaken for it.

use mysql_async::consts::ColumnFlags;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Conn, Error, Opts, OptsBuilder, Params, QueryResult, Value};
use tokio::time::timeout_at;

use super::{Bounds, Sight, words};
use crate::agent::{Login, ResultSet, Statement};

/// Of all rows of a look together, as text: pictures in a table need not travel.
const MAX_BYTES: usize = 16 << 20;

pub(super) struct Options {
    pub(super) stop_at_error: bool,
    pub(super) max_rows: usize,
}

pub(super) async fn look(
    host: &str,
    port: u16,
    login: Login,
    statements: &[Statement],
    options: Options,
    bounds: Bounds,
) -> Sight {
    let opts: Opts = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .user(Some(login.user))
        .pass(Some(login.password))
        .db_name(login.database)
        // Else it asks for the server's socket and tries that path here, where another server may listen.
        .prefer_socket(false)
        .stmt_cache_size(0)
        .into();
    let mut conn = match timeout_at(bounds.deadline(), Conn::new(opts)).await {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => return refusal(&error, bounds),
        Err(_) => return bounds.late("login"),
    };
    let asked = async {
        let server_version = conn.query_first::<String, _>("SELECT VERSION()").await?.unwrap_or_default();
        let mut results = Vec::new();
        let mut room = MAX_BYTES;
        for statement in statements {
            let result = match run(&mut conn, statement, options.max_rows, &mut room).await {
                Ok(result) => result,
                Err(Error::Server(e)) => {
                    ResultSet { error: Some(e.message), error_code: Some(e.code), ..ResultSet::default() }
                }
                Err(other) => return Err(other),
            };
            let refused = result.error.is_some();
            results.push(result);
            if refused && options.stop_at_error {
                break;
            }
        }
        Ok(Sight::Mysql { results, server_version })
    };
    match timeout_at(bounds.deadline(), asked).await {
        Ok(Ok(sight)) => {
            // A polite goodbye, or the server counts an aborted connection; it may take no time of ours.
            timeout_at(bounds.deadline(), conn.disconnect()).await.ok();
            sight
        }
        Ok(Err(error)) => bounds.no("query", say(&error)),
        Err(_) => bounds.late("query"),
    }
}

async fn run(conn: &mut Conn, statement: &Statement, max_rows: usize, room: &mut usize) -> Result<ResultSet, Error> {
    if statement.values.is_empty() {
        return collect(conn.query_iter(statement.sql.as_str()).await?, max_rows, room).await;
    }
    let values = statement.values.iter().map(bind).collect();
    collect(conn.exec_iter(statement.sql.as_str(), Params::Positional(values)).await?, max_rows, room).await
}

/// The first result set; those that a procedure gives besides are read and left.
async fn collect<P: Protocol>(
    mut result: QueryResult<'_, '_, P>,
    max_rows: usize,
    room: &mut usize,
) -> Result<ResultSet, Error> {
    let mut set = ResultSet { affected: result.affected_rows(), ..ResultSet::default() };
    let columns = result.columns().unwrap_or_default();
    set.columns = columns.iter().map(|c| c.name_str().into_owned()).collect();
    let binary: Vec<bool> = columns
        .iter()
        .map(|c| {
            c.flags().contains(ColumnFlags::BINARY_FLAG)
                && c.character_set() == BINARY
                && c.column_type().is_character_type()
        })
        .collect();
    while let Some(row) = result.next().await? {
        if set.rows.len() == max_rows || set.truncated {
            set.truncated = true;
            continue;
        }
        let values = row.unwrap().into_iter().enumerate();
        let values: Vec<_> = values.map(|(i, v)| text(v, binary.get(i).copied().unwrap_or(false))).collect();
        // A row, with what it costs to send it.
        let size = values.iter().map(|v| v.as_ref().map_or(0, String::len) + 8).sum();
        match room.checked_sub(size) {
            Some(left) => {
                *room = left;
                set.rows.push(values);
            }
            None => set.truncated = true,
        }
    }
    result.drop_result().await?;
    Ok(set)
}

/// The collation that says that bytes are no text.
const BINARY: u16 = 63;

fn bind(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::NULL,
        serde_json::Value::Bool(b) => Value::Int(i64::from(*b)),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => Value::Int(i),
            (_, Some(u), _) => Value::UInt(u),
            (_, _, f) => Value::Double(f.unwrap_or_default()),
        },
        serde_json::Value::String(s) => Value::Bytes(s.clone().into_bytes()),
        other => Value::Bytes(other.to_string().into_bytes()),
    }
}

fn text(value: Value, binary: bool) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) if !binary || !text.contains(char::is_control) => text,
            Ok(text) => hex(text.as_bytes()),
            Err(raw) => hex(raw.as_bytes()),
        }),
        Value::Int(i) => Some(i.to_string()),
        Value::UInt(u) => Some(u.to_string()),
        Value::Float(f) => Some(f.to_string()),
        Value::Double(f) => Some(f.to_string()),
        // As the text protocol prints dates and times.
        Value::Date(y, m, d, h, min, s, us) => Some(match (h, min, s, us) {
            (0, 0, 0, 0) => format!("{y:04}-{m:02}-{d:02}"),
            (_, _, _, 0) => format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}"),
            _ => format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}.{us:06}"),
        }),
        Value::Time(negative, days, h, min, s, us) => {
            let sign = if negative { "-" } else { "" };
            let hours = days * 24 + u32::from(h);
            let fraction = if us == 0 { String::new() } else { format!(".{us:06}") };
            Some(format!("{sign}{hours:02}:{min:02}:{s:02}{fraction}"))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Why there was no connection: the server's own code where it gave one.
fn refusal(error: &Error, bounds: Bounds) -> Sight {
    match error {
        Error::Server(e) => Sight::No {
            stage: "login".to_owned(),
            message: e.message.clone(),
            code: Some(e.code),
            elapsed_ms: bounds.elapsed_ms(),
        },
        Error::Io(_) => bounds.no("connect", say(error)),
        _ => bounds.no("login", say(error)),
    }
}

fn say(error: &Error) -> String {
    match error {
        Error::Server(e) => e.message.clone(),
        Error::Io(mysql_async::IoError::Io(e)) => words(e),
        Error::Driver(e) => e.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::agent::{Look, looks::look};

    fn ask(port: u16) -> Look {
        Look::Mysql {
            host: "127.0.0.1".into(),
            port,
            login: Login { user: "root".into(), password: "x".into(), database: None },
            statements: vec![Statement::new("SELECT 1")],
            stop_at_error: true,
            max_rows: 10,
        }
    }

    #[test]
    fn values_print_as_the_server_prints_them() {
        assert_eq!(text(Value::NULL, false), None);
        assert_eq!(text(Value::Bytes("año".into()), false).as_deref(), Some("año"));
        assert_eq!(text(Value::Bytes(vec![0xff, 0]), true).as_deref(), Some("0xff00"));
        assert_eq!(text(Value::Date(2024, 2, 29, 0, 0, 0, 0), false).as_deref(), Some("2024-02-29"));
        assert_eq!(text(Value::Date(2024, 2, 29, 7, 8, 9, 0), false).as_deref(), Some("2024-02-29 07:08:09"));
        assert_eq!(text(Value::Time(true, 1, 2, 3, 4, 0), false).as_deref(), Some("-26:03:04"));
    }

    #[test]
    fn json_values_bind_as_what_they_are() {
        assert_eq!(bind(&json!(null)), Value::NULL);
        assert_eq!(bind(&json!(7)), Value::Int(7));
        assert_eq!(bind(&json!(u64::MAX)), Value::UInt(u64::MAX));
        assert_eq!(bind(&json!("x")), Value::Bytes(b"x".to_vec()));
    }

    #[tokio::test]
    async fn refused_is_a_no_at_connect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let sight = look(ask(port), Duration::from_secs(5)).await;
        assert!(
            matches!(&sight, Sight::No { stage, message, .. } if stage == "connect" && message == "connection refused"),
            "{sight:?}"
        );
    }

    #[tokio::test]
    async fn a_server_that_lets_nobody_in_says_its_code() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut s, _) = listener.accept().await.unwrap();
            let message = b"\xff\x6a\x04Host '172.18.0.3' is not allowed to connect to this MariaDB server";
            s.write_all(&[&[u8::try_from(message.len()).unwrap(), 0, 0, 0], &message[..]].concat()).await.unwrap();
            let _ = s.read(&mut [0; 64]).await;
        });
        let sight = look(ask(port), Duration::from_secs(5)).await;
        let Sight::No { stage, code, message, .. } = sight else { panic!("{sight:?}") };
        assert_eq!((stage.as_str(), code), ("login", Some(1130)));
        assert!(message.contains("not allowed"), "{message}");
    }

    #[tokio::test]
    async fn a_silent_server_ends_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sight = look(ask(port), Duration::from_millis(200)).await;
        assert!(matches!(&sight, Sight::No { stage, .. } if stage == "login"), "{sight:?}");
        drop(listener);
    }
}
