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
    readings.iter().find_map(|text| {
        let at = SAID.iter().filter_map(|said| text.find(said)).min().or_else(|| {
            SPLIT.iter().find_map(|(head, tail)| {
                let at = text.find(head)?;
                let end = text[at..].find(tail)?;
                (end < 200).then_some(at)
            })
        })?;
        let line: String = text[at..].chars().take(160).collect();
        Some(line.trim_end().to_owned())
    })
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
}
