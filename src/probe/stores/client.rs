//! What a store's own client is asked, so that a value is written, read back and removed; and what its answer means.
//!
//! The client runs in the store's container, whose environment may lead it elsewhere: host and port are always given.

use serde_json::Value;

use crate::docker::exec::ExecSpec;
use crate::submission::bind::plain_family;

/// A kind of store that we know how to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Mysql,
    Postgres,
    Redis,
    Mongo,
}

impl Family {
    /// By the image that it runs, or that it was built on.
    pub(super) fn of(reference: &str) -> Option<Self> {
        match plain_family(reference)?.as_str() {
            "mysql" | "mariadb" | "percona" => Some(Self::Mysql),
            "postgres" => Some(Self::Postgres),
            "redis" => Some(Self::Redis),
            "mongo" => Some(Self::Mongo),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Mongo => "mongo",
        }
    }

    pub(super) fn port(self) -> u16 {
        match self {
            Self::Mysql => 3306,
            Self::Postgres => 5432,
            Self::Redis => 6379,
            Self::Mongo => 27017,
        }
    }
}

/// Who to be there, as far as a container says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    /// The container's own: a server may listen there and not on the loopback.
    pub(super) address: Option<String>,
}

/// The variables that hold a password or a name, each of which may be in a file that `NAME_FILE` names.
pub(super) fn secrets(family: Family) -> &'static [&'static str] {
    match family {
        Family::Mysql => &[],
        Family::Postgres => &["POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"],
        Family::Redis => &["REDIS_PASSWORD"],
        Family::Mongo => &["MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"],
    }
}

impl Access {
    /// From the values of [`secrets`], in their order, and the container's command as it was written.
    pub(super) fn of(family: Family, values: &[Option<String>], command: &Value) -> Self {
        let value = |n: usize| values.get(n).cloned().flatten();
        match family {
            Family::Mysql => Self::default(),
            Family::Postgres => Self { user: value(0), password: value(1), database: value(2), ..Self::default() },
            Family::Redis => Self { password: option(command, "requirepass").or_else(|| value(0)), ..Self::default() },
            Family::Mongo => Self { user: value(0), password: value(1), ..Self::default() },
        }
    }
}

/// The value of an option in a command: `--requirepass x`, `--requirepass=x`, as one text or in words.
fn option(command: &Value, name: &str) -> Option<String> {
    let words: Vec<String> = match command {
        Value::String(text) => text.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect(),
        Value::Array(words) => {
            // `sh -c "redis-server --requirepass x"` is a text in a word.
            let texts = words.iter().filter_map(Value::as_str);
            texts
                .flat_map(|text| if text.contains("--") { text.split(' ').collect() } else { vec![text] })
                .map(str::to_owned)
                .collect()
        }
        _ => return None,
    };
    let at = words.iter().position(|word| word.trim_start_matches("--").split('=').next() == Some(name))?;
    match words[at].split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => words.get(at + 1).cloned(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Write,
    Read,
    Remove,
}

/// The commands of a step: the first whose program the container has, and that finds a server where it looks, is the one.
pub(super) fn commands(family: Family, access: &Access, step: Step, nonce: &str) -> Vec<ExecSpec> {
    let words = |argv: &[&str]| argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let hosts = || ["127.0.0.1"].into_iter().chain(access.address.as_deref());
    match family {
        // Asked by our own client.
        Family::Mysql => Vec::new(),
        Family::Postgres => {
            let user = access.user.as_deref().unwrap_or("postgres");
            let database = access.database.as_deref().unwrap_or(user);
            let sql = match step {
                Step::Write => {
                    // Again, where the answer to the first one was lost.
                    format!(
                        "CREATE TABLE IF NOT EXISTS {nonce} (v text); INSERT INTO {nonce} VALUES ('{nonce}'); SELECT 'OK'"
                    )
                }
                Step::Read => format!("SELECT v FROM {nonce} LIMIT 1"),
                Step::Remove => format!("DROP TABLE IF EXISTS {nonce}; SELECT 'OK'"),
            };
            // The image lets everybody in at its socket; whoever took that away left the password.
            let at = |host: &str| {
                let argv = [
                    "psql",
                    "-X",
                    "-q",
                    "-A",
                    "-t",
                    "-w",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-h",
                    host,
                    "-p",
                    "5432",
                    "-U",
                    user,
                    "-d",
                    database,
                    "-c",
                    &sql,
                ];
                let env = access.password.iter().map(|password| format!("PGPASSWORD={password}"));
                let env = env.chain(["PGOPTIONS=".to_owned(), "PGHOSTADDR=".to_owned()]).collect();
                ExecSpec { argv: words(&argv), env, ..ExecSpec::default() }
            };
            ["/var/run/postgresql"].into_iter().chain(hosts()).map(at).collect()
        }
        Family::Redis => {
            let (key, life) = (format!("imparcial:{nonce}"), "300");
            let at = |host: &str| {
                let mut argv = words(&["redis-cli", "-h", host, "-p", "6379"]);
                argv.extend(match step {
                    // It goes by itself, too.
                    Step::Write => words(&["SET", &key, nonce, "EX", life]),
                    Step::Read => words(&["GET", &key]),
                    Step::Remove => words(&["DEL", &key]),
                });
                let env = access.password.iter().map(|password| format!("REDISCLI_AUTH={password}")).collect();
                ExecSpec { argv, env, ..ExecSpec::default() }
            };
            hosts().map(at).collect()
        }
        Family::Mongo => {
            let script = match step {
                Step::Write => format!("db.t.insertOne({{v: '{nonce}'}}); print('OK')"),
                Step::Read => "print(db.t.findOne().v)".to_owned(),
                Step::Remove => "db.dropDatabase(); print('OK')".to_owned(),
            };
            let with = |program: &str, host: &str| {
                let mut argv = words(&[program, "--quiet", "--norc", "--host", host, "--port", "27017"]);
                if let (Some(user), Some(password)) = (&access.user, &access.password) {
                    argv.extend(words(&[
                        "--username",
                        user,
                        "--password",
                        password,
                        "--authenticationDatabase",
                        "admin",
                    ]));
                }
                argv.extend(words(&["--eval", &script, nonce]));
                ExecSpec { argv, ..ExecSpec::default() }
            };
            hosts().flat_map(|host| [with("mongosh", host), with("mongo", host)]).collect()
        }
    }
}

/// What a client's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Done,
    /// Nobody whom we know of may come in: nothing is proven.
    ShutOut(String),
    /// There is no server where its client looks, or none that speaks as it does: it may be at another place, or want TLS.
    NotThere(String),
    /// It has not begun yet, or is about to end: another exercise may have restarted it.
    NotReady(String),
    Refused(String),
}

/// Of a step: its client's status, and what it printed.
pub(super) fn meaning(step: Step, nonce: &str, status: Option<i64>, stdout: &str, stderr: &str) -> Meaning {
    let out = stdout.trim();
    let fine = match step {
        Step::Read => out == nonce,
        // A DEL says how many there were.
        Step::Write | Step::Remove => out == "OK" || out == "1",
    };
    if status == Some(0) && fine {
        return Meaning::Done;
    }
    let words = [stderr, stdout].into_iter().flat_map(str::lines).map(str::trim).find(|line| !line.is_empty());
    let said = crate::sanitize::line(words.unwrap_or_default(), 200);
    let any = |patterns: &[&str]| {
        let all = format!("{stdout}\n{stderr}").to_ascii_lowercase();
        patterns.iter().any(|pattern| all.contains(pattern))
    };
    if any(&[
        "noauth",
        "wrongpass",
        "authentication",
        "pg_hba.conf",
        "no password supplied",
        "unauthorized",
        "invalid password",
        "role \"",
    ]) {
        return Meaning::ShutOut(said);
    }
    if any(&[
        "is starting up",
        "is shutting down",
        "in recovery mode",
        "is loading the dataset",
        "shutdown in progress",
    ]) {
        return Meaning::NotReady(said);
    }
    if any(&[
        "could not connect",
        "connection refused",
        "no such file or directory",
        "econnrefused",
        "connect failed",
        "connection reset by peer",
        "server closed the connection",
    ]) {
        return Meaning::NotThere(said);
    }
    Meaning::Refused(said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn families_are_told_by_the_image() {
        for (image, family) in [
            ("mysql:5.7", Some(Family::Mysql)),
            ("mariadb", Some(Family::Mysql)),
            ("bitnami/postgresql:15", Some(Family::Postgres)),
            ("redis:alpine", Some(Family::Redis)),
            ("mongo:4", Some(Family::Mongo)),
            ("elasticsearch:7", None),
            ("python:3.6", None),
        ] {
            assert_eq!(Family::of(image), family, "{image}");
        }
    }

    #[test]
    fn a_password_is_found_in_a_command_however_it_is_written() {
        for command in [
            json!("redis-server --requirepass s3cret --appendonly yes"),
            json!(["redis-server", "--requirepass", "s3cret"]),
            json!(["--requirepass=s3cret"]),
            json!(["sh", "-c", "redis-server --requirepass s3cret"]),
            json!("redis-server --requirepass \"s3cret\""),
        ] {
            assert_eq!(Access::of(Family::Redis, &[None], &command).password.as_deref(), Some("s3cret"), "{command}");
        }
        let env = Some("other".to_owned());
        assert_eq!(Access::of(Family::Redis, &[env], &json!(["redis-server"])).password.as_deref(), Some("other"));
        assert_eq!(Access::of(Family::Redis, &[None], &Value::Null), Access::default());
        assert_eq!(Access::of(Family::Redis, &[None], &json!(["redis-server", "--requirepass"])).password, None);
    }

    #[test]
    fn clients_are_told_where_to_look_and_never_print_a_password_on_their_command_line() {
        let access = Access {
            user: Some("ana".into()),
            password: Some("clave".into()),
            database: Some("tienda".into()),
            address: Some("172.18.0.3".into()),
        };
        let sql = commands(Family::Postgres, &access, Step::Write, "n1");
        assert!(
            sql.iter().all(|c| c.argv.contains(&"-h".to_owned()) && c.env.contains(&"PGPASSWORD=clave".to_owned()))
        );
        assert!(sql.iter().all(|c| c.argv.contains(&"ana".to_owned()) && c.argv.contains(&"tienda".to_owned())));
        let redis = commands(Family::Redis, &access, Step::Read, "n1");
        assert_eq!(redis[0].argv.join(" "), "redis-cli -h 127.0.0.1 -p 6379 GET imparcial:n1");
        assert_eq!(redis[0].env, ["REDISCLI_AUTH=clave"]);
        // A server that listens at its own address alone.
        assert_eq!((redis.len(), redis[1].argv[2].as_str()), (2, "172.18.0.3"));
        assert_eq!((sql.len(), sql[2].argv.contains(&"172.18.0.3".to_owned())), (3, true));
        let mongo = commands(Family::Mongo, &Access::default(), Step::Remove, "n1");
        assert_eq!((mongo[0].argv[0].as_str(), mongo[1].argv[0].as_str()), ("mongosh", "mongo"));
        assert!(!mongo[0].argv.contains(&"--username".to_owned()) && mongo[0].argv.ends_with(&["n1".to_owned()]));
        // Who has no name of a database is in one of the user's name.
        let plain = commands(Family::Postgres, &Access::default(), Step::Read, "n1");
        assert_eq!(plain[0].argv.iter().filter(|word| *word == "postgres").count(), 2);
    }

    #[test]
    fn an_answer_is_done_shut_out_not_there_or_refused() {
        let of = |step, status, out: &str, err: &str| meaning(step, "n1", Some(status), out, err);
        assert_eq!(of(Step::Write, 0, "OK\n", ""), Meaning::Done);
        assert_eq!(of(Step::Read, 0, "n1\n", ""), Meaning::Done);
        assert_eq!(of(Step::Remove, 0, "1\n", ""), Meaning::Done);
        let shut = |m: Meaning| matches!(m, Meaning::ShutOut(_));
        assert!(shut(of(Step::Write, 0, "NOAUTH Authentication required.\n", "")));
        assert!(shut(of(Step::Write, 2, "", "psql: error: FATAL:  password authentication failed for user \"x\"")));
        assert!(shut(of(Step::Write, 2, "", "psql: error: FATAL:  role \"x\" does not exist")));
        let none = "psql: error: connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed: No such file or directory";
        assert!(matches!(of(Step::Write, 2, "", none), Meaning::NotThere(_)));
        assert!(matches!(of(Step::Read, 1, "", "Error: Server closed the connection"), Meaning::NotThere(_)));
        for (out, err) in [
            ("LOADING Redis is loading the dataset in memory\n", ""),
            ("", "psql: error: FATAL:  the database system is starting up"),
            ("", "psql: error: FATAL:  the database system is shutting down"),
        ] {
            assert!(matches!(of(Step::Write, 2, out, err), Meaning::NotReady(_)), "{out}{err}");
        }
        let full = of(Step::Write, 0, "READONLY You can't write against a read only replica.\n", "");
        assert_eq!(full, Meaning::Refused("READONLY You can't write against a read only replica.".into()));
        // Another value than was written, or none.
        assert_eq!(of(Step::Read, 0, "\n", ""), Meaning::Refused(String::new()));
        assert_eq!(of(Step::Read, 0, "n2\n", ""), Meaning::Refused("n2".into()));
    }
}
