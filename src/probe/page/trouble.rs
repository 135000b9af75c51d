//! A database's error printed on a page, whatever the status says.

/// What drivers and servers say; lower case, as pages are folded. Each is a sentence or a name that no honest page has.
const SAID: [&str; 47] = [
    "sqlstate[",
    "pdoexception",
    "mysqli_sql_exception",
    "mysqli_connect()",
    "mysqli::",
    "mysqli_query()",
    "mysql_connect()",
    "operationalerror",
    "programmingerror",
    "interfaceerror",
    "integrityerror",
    "databaseerror",
    "internalerror",
    "pymysql.err",
    "mysql.connector.errors",
    "psycopg2.",
    "sqlalchemy.exc",
    "redis.exceptions",
    "er_access_denied_error",
    "er_no_such_table",
    "er_bad_db_error",
    "sequelizeconnection",
    "econnrefused",
    "enotfound",
    "eai_again",
    "communications link failure",
    "access denied for user",
    "unknown database '",
    "can't connect to mysql",
    "can't connect to local mysql",
    "can't connect to server on",
    "can't connect to local server",
    "unknown mysql server host",
    "unknown server host",
    "lost connection to mysql",
    "lost connection to server",
    "server has gone away",
    "you have an error in your sql syntax",
    "getaddrinfo failed",
    "php_network_getaddresses",
    "temporary failure in name resolution",
    "name or service not known",
    "error establishing a database connection",
    "error connecting to mysql",
    "is not allowed to connect to this",
    "could not connect to server",
    "[errno 111] connection refused",
];

/// Pieces of a sentence with a name in between: `Table 'reserva.aves' doesn't exist`.
const SPLIT: [(&str, &str); 4] = [
    ("table '", "doesn't exist"),
    ("unknown column '", "in 'field list'"),
    ("connect to mysql server on '", "("),
    ("authentication plugin '", "cannot be loaded"),
];

/// The sentence of a database's error in one of the page's readings.
pub fn database_error(readings: &[String]) -> Option<String> {
    readings.iter().find_map(|text| find(text).map(|at| sentence_at(text, at)))
}

/// The same in a text as it was written, capitals and all.
pub fn sentence(text: &str) -> Option<String> {
    // Of the same length, unlike other ways to fold.
    find(&text.to_ascii_lowercase()).map(|at| sentence_at(text, at))
}

fn find(lower: &str) -> Option<usize> {
    let whole = SAID.iter().filter_map(|said| lower.find(said)).min();
    whole.or_else(|| {
        SPLIT.iter().find_map(|(head, tail)| {
            let at = lower.find(head)?;
            let end = lower[at..].find(tail)?;
            (end < 200).then_some(at)
        })
    })
}

fn sentence_at(text: &str, at: usize) -> String {
    let line: String = text[at..].lines().next().unwrap_or_default().chars().take(160).collect();
    line.trim_end().to_owned()
}

/// Whom the application tried to reach, where a driver's error names it: a host, without its port.
pub fn dialled(error: &str) -> Option<&str> {
    let lower = error.to_ascii_lowercase();
    let after = |marker: &str| lower.find(marker).map(|at| at + marker.len());
    let quoted = ["mysql server on '", "connect to server on '", "server host '"].iter().find_map(|m| after(m));
    let plain = ["econnrefused ", "enotfound ", "eai_again ", "ehostunreach ", "etimedout ", "getaddrinfo for "];
    let (start, end) = match quoted {
        Some(start) => (start, error[start..].find('\'')?),
        None => {
            let start = plain.iter().find_map(|m| after(m))?;
            let rest = &error[start..];
            (start, rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | ',')).unwrap_or(rest.len()))
        }
    };
    let host = &error[start..start + end];
    let host =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h);
    (!host.is_empty() && host.len() < 100).then_some(host)
}

/// The last line of an application's log that is a database's error.
pub fn in_log(log: &str) -> Option<String> {
    let said = |line: &&str| find(&line.to_ascii_lowercase()).is_some();
    let line = log.lines().rev().map(str::trim).find(said)?;
    Some(line.chars().take(240).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::page::text::PageText;

    fn error(page: &str) -> Option<String> {
        database_error(PageText::read(page.as_bytes(), None).readings())
    }

    #[test]
    fn errors_of_drivers_are_seen() {
        for page in [
            "(1045, \"Access denied for user 'root'@'172.18.0.3' (using password: YES)\")",
            "2003 (HY000): Can&#39;t connect to MySQL server on &#39;db:3306&#39; (111)",
            "SQLSTATE[HY000] [2002] No such file or directory",
            "<b>Warning</b>: mysqli_connect(): (HY000/2002): Connection refused in <b>/var/www/html/index.php</b>",
            "Error: connect ECONNREFUSED 172.18.0.2:3306",
            "1146 (42S02): Table 'reserva.aves' doesn't exist",
            "php_network_getaddresses: getaddrinfo failed: Name or service not known",
            "{\"error\": \"(pymysql.err.OperationalError) (1049, \\\"Unknown database 'x'\\\")\"}",
        ] {
            assert!(error(page).is_some(), "{page}");
        }
    }

    #[test]
    fn honest_pages_have_none() {
        for page in
            ["<h1>It works!</h1>", "Mesa: table 'redonda' de roble", "La conexión existe", "Error 404: Not Found"]
        {
            assert_eq!(error(page), None, "{page}");
        }
    }

    #[test]
    fn the_sentence_is_given() {
        let said = error("<h1>Oops</h1> Access denied for user 'root'@'x'").unwrap();
        assert_eq!(said, "access denied for user 'root'@'x'");
    }

    #[test]
    fn whom_the_app_dials_is_named() {
        for (error, host) in [
            ("(2003, \"Can't connect to MySQL server on '192.168.1.20' (timed out)\")", Some("192.168.1.20")),
            ("2003 (HY000): Can't connect to MySQL server on 'localhost:3306' (111)", Some("localhost")),
            ("Can't connect to server on 'bd' (115)", Some("bd")),
            ("2005 (HY000): Unknown MySQL server host 'bd' (-2)", Some("bd")),
            ("Error: connect ECONNREFUSED 127.0.0.1:3306", Some("127.0.0.1")),
            ("Error: getaddrinfo ENOTFOUND Base-datos", Some("Base-datos")),
            (
                "mysqli_connect(): php_network_getaddresses: getaddrinfo for mysql failed: Name or service not known",
                Some("mysql"),
            ),
            ("Access denied for user 'root'@'172.18.0.3' (using password: YES)", None),
        ] {
            assert_eq!(dialled(error), host, "{error}");
        }
    }

    #[test]
    fn the_last_error_of_a_log_is_found() {
        let log = "GET / 500\npymysql.err.OperationalError: (1045, \"Access denied for user 'root'@'x'\")\n10.0.0.1 - GET /\n";
        assert_eq!(in_log(log).unwrap(), "pymysql.err.OperationalError: (1045, \"Access denied for user 'root'@'x'\")");
        assert_eq!(in_log("Running on http://0.0.0.0:5000\n"), None);
    }
}
