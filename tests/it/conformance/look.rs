//! One look at a container of a stand-in, asked again until it holds or its time is over.

use std::time::{Duration, Instant};

use bollard::query_parameters::InspectContainerOptions;
use imparcial::docker::Engine;
use imparcial::docker::exec::ExecSpec;
use mysql_async::prelude::Queryable;
use regex::RegexBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::table::{Look, Sql, Tcp, bytes};

/// How long one answer may take.
const ONE: Duration = Duration::from_secs(45);
const AGAIN: Duration = Duration::from_millis(150);

/// What was seen: words, and the status that came with them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) text: String,
    status: Option<i64>,
}

/// The container that is looked at.
pub(super) struct At<'e> {
    pub(super) engine: &'e Engine,
    pub(super) name: &'e str,
    pub(super) image: &'e str,
}

impl At<'_> {
    /// What a look saw that held; else what was expected and what was seen at last.
    pub(super) async fn until(&self, look: &Look, within: Duration) -> Result<Seen, String> {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.ended().await?;
            let seen = match tokio::time::timeout(ONE, self.once(look)).await {
                Ok(seen) => seen,
                Err(_) => Err(format!("no answer within {ONE:?}")),
            };
            let missing = match &seen {
                Ok(seen) => missing(look, seen),
                Err(problem) => Some(problem.clone()),
            };
            let Some(missing) = missing else { return seen };
            // What has ended says nothing new, and a command may have done its work: asking again proves nothing then.
            if Instant::now() > deadline || ended || look.run.is_some() && !look.again() {
                let text = seen.map(|seen| format!("{}; status {:?}", seen.text.trim(), seen.status));
                return Err(format!("{missing}\n  seen: {}", text.unwrap_or_else(|problem| problem)));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn ended(&self) -> Result<bool, String> {
        self.engine.container(self.name).await.map(|c| c.state == "exited").map_err(|error| error.to_string())
    }

    async fn once(&self, look: &Look) -> Result<Seen, String> {
        if let Some(argv) = &look.run {
            return self.run(argv, look.user.clone()).await;
        }
        if look.log.is_some() {
            let text = self.engine.logs(self.name, None, None).await.map_err(|error| error.to_string())?;
            return Ok(Seen { text, status: None });
        }
        if look.ends.is_some() {
            let container = self.engine.container(self.name).await.map_err(|error| error.to_string())?;
            let status = (container.state == "exited").then_some(container.exit_code);
            return Ok(Seen { text: container.state, status });
        }
        let text = if let Some(http) = &look.http {
            get(&format!("http://{}{http}", self.address().await?)).await?
        } else if let Some(tcp) = &look.tcp {
            send(&self.address().await?, tcp).await?
        } else if let Some(sql) = &look.sql {
            ask(self.address().await?, sql).await
        } else {
            self.setting(look.image.as_deref().unwrap_or_default()).await?
        };
        Ok(Seen { text, status: None })
    }

    async fn run(&self, argv: &[String], user: Option<String>) -> Result<Seen, String> {
        let spec = ExecSpec { argv: argv.to_vec(), user, ..ExecSpec::default() };
        let mut exec = match self.engine.exec(self.name, &spec).await.map_err(|error| error.to_string())? {
            Ok(exec) => exec,
            // As the engine's own client says of a program that is not there.
            Err(words) => return Ok(Seen { text: words, status: Some(126) }),
        };
        let mut all = Vec::new();
        while let Some((_, piece)) = exec.next().await {
            all.extend_from_slice(&piece);
        }
        let state = self.engine.exec_state(&exec.id).await.map_err(|error| error.to_string())?;
        Ok(Seen { text: String::from_utf8_lossy(&all).into_owned(), status: state.status })
    }

    async fn address(&self) -> Result<String, String> {
        let found = self.engine.docker().inspect_container(self.name, None::<InspectContainerOptions>).await;
        let networks = found.map_err(|e| e.to_string())?.network_settings.and_then(|n| n.networks).unwrap_or_default();
        let address = networks.into_values().find_map(|n| n.ip_address).filter(|address| !address.is_empty());
        address.ok_or_else(|| "it has no address".to_owned())
    }

    async fn setting(&self, place: &str) -> Result<String, String> {
        let image = self.engine.docker().inspect_image(self.image).await.map_err(|error| error.to_string())?;
        let mut json = serde_json::to_value(image).map_err(|error| error.to_string())?;
        // The client keeps some of it in a hash map: in any order, another each time.
        json.sort_all_objects();
        Ok(json.pointer(place).map(ToString::to_string).unwrap_or_default())
    }
}

impl Look {
    /// Whether a command may be run any number of times: one that only asks.
    fn again(&self) -> bool {
        let program = self.run.as_ref().and_then(|argv| argv.first()).map(String::as_str);
        matches!(program, Some("mysqladmin" | "psql" | "redis-cli" | "cat" | "curl" | "mysql"))
    }
}

/// What is not as it should be.
fn missing(look: &Look, seen: &Seen) -> Option<String> {
    let wanted = if look.run.is_some() { Some(look.status.unwrap_or(0)) } else { look.ends };
    if wanted.is_some() && seen.status != wanted {
        return Some(format!("expected status {}", wanted.unwrap_or_default()));
    }
    // They were compiled when the table was read. `^` and `$` are of a line, and a line end at the end is none.
    let has = |pattern: &str| {
        let pattern = RegexBuilder::new(pattern).multi_line(true).build();
        pattern.is_ok_and(|pattern| pattern.is_match(seen.text.trim_end()))
    };
    for pattern in [&look.shows, &look.log].into_iter().flatten() {
        if !has(pattern) {
            return Some(format!("expected {pattern:?}"));
        }
    }
    look.hides.as_ref().filter(|pattern| has(pattern)).map(|pattern| format!("did not expect {pattern:?}"))
}

/// Status, headers and body.
async fn get(url: &str) -> Result<String, String> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
    let head = format!("{} {:?}", answer.status(), answer.headers());
    Ok(format!("{head}\n{}", answer.text().await.map_err(|error| error.to_string())?))
}

async fn send(address: &str, tcp: &Tcp) -> Result<String, String> {
    let mut stream =
        tokio::net::TcpStream::connect((address, tcp.port)).await.map_err(|error| format!("connect: {error}"))?;
    let sent = if tcp.hex.is_empty() { tcp.text.clone().into_bytes() } else { bytes(&tcp.hex)? };
    stream.write_all(&sent).await.map_err(|error| error.to_string())?;
    let mut all = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut all)).await;
    let length = read.map_err(|_| "nothing came back".to_owned())?.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&all[..length]).into_owned())
}

/// A row a line, as SQL writes its values; an error is an answer too.
async fn ask(address: String, sql: &Sql) -> String {
    let opts = mysql_async::OptsBuilder::default()
        .ip_or_hostname(address)
        .user(Some(&sql.user))
        .pass(sql.password.as_ref())
        .db_name(sql.database.as_ref())
        .prefer_socket(false);
    let answer = async {
        let mut conn = mysql_async::Conn::new(opts).await?;
        let rows: Vec<mysql_async::Row> = conn.query(&sql.ask).await?;
        let _ = conn.disconnect().await;
        Ok::<_, mysql_async::Error>(rows)
    };
    match answer.await {
        Ok(rows) => {
            let row = |row: mysql_async::Row| {
                row.unwrap().iter().map(|value| value.as_sql(true)).collect::<Vec<_>>().join("|")
            };
            rows.into_iter().map(row).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}
