//! Where a host, an address or a text is written in what is a service's own: its code, its settings, its part of the compose
//! file.

use std::path::{Path, PathBuf};

use super::{LookAt, View};
use crate::text::Text;

/// Keys of a service that may give its code a host.
const GIVES: [&str; 4] = ["environment", "command", "entrypoint", "extra_hosts"];

/// What a line that gives a host has in it.
const HOST_WORDS: [&str; 12] =
    ["host", "server", "connect", "url", "uri", "dsn", "addr", "mysqli(", "pdo(", "client(", "redis(", "://"];

/// What a line has that says where something listens, or who may visit it.
const LISTENS: [&str; 6] = [".run(", "listen", "bind", "origin", "server_name", "allowed_hosts"];

impl View<'_> {
    /// Each place that writes one of these hosts out, those of the compose file first.
    pub fn written(self, service: &str, hosts: &[String]) -> Vec<LookAt> {
        let mut found = Vec::new();
        for (file, text) in self.sources(service) {
            let lines = self.lines_of(service, &file);
            let code = is_code(&file);
            for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
                if !lines.contains(&n) || is_comment(line) {
                    continue;
                }
                if let Some(host) = hosts.iter().find(|host| writes(line, host, code)) {
                    let what = Text::new(format!("`{host}` is written here"), format!("aquí está escrito `{host}`"));
                    found.push(LookAt::new(&file, n, what));
                }
            }
        }
        found
    }

    /// The one line of the service's code that has a text between quotes; none where several do.
    pub fn said_by(self, service: &str, text: &str) -> Option<LookAt> {
        let text = text.trim();
        // What is shorter, or one word, may be said by anybody.
        if text.len() < 10 || !text.contains(' ') {
            return None;
        }
        let mut found = self.own_files(service).into_iter().filter(|file| is_code(file)).flat_map(|file| {
            let code = self.text(&file).unwrap_or_default();
            let lines = code.lines().enumerate().filter(|(_, line)| quoted(line, text) && !is_comment(line));
            lines.map(|(n, _)| (file.clone(), n + 1)).collect::<Vec<_>>()
        });
        let (file, line) = found.next()?;
        let what = Text::new("its last words are written here", "aquí están escritas sus últimas palabras");
        found.next().is_none().then(|| LookAt::new(&file, line, what))
    }

    /// Where the code holds values of the database instead of asking for them: at least two of them in one file.
    pub fn constants(self, service: &str, values: &[String]) -> Option<LookAt> {
        self.own_files(service).into_iter().filter(|file| is_code(file)).find_map(|file| {
            let text = self.text(&file)?;
            let hits: Vec<(usize, &String)> = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !is_comment(line))
                .filter_map(|(n, line)| Some((n + 1, values.iter().find(|value| quoted(line, value))?)))
                .collect();
            let (line, first) = hits.first()?;
            let several = hits.iter().any(|(_, value)| value != first);
            let what = Text::new(
                format!("rows of the database are written into the code, such as `{first}`"),
                format!("hay filas de la base de datos escritas en el código, como `{first}`"),
            );
            several.then(|| LookAt::new(&file, *line, what))
        })
    }

    /// The compose file, the `.env` beside it, and the service's own files, with their texts.
    fn sources(self, service: &str) -> Vec<(PathBuf, String)> {
        let Some(compose) = self.compose() else { return Vec::new() };
        let env = compose.path.with_file_name(".env");
        let mut files = vec![compose.path.clone()];
        files.extend(self.own_files(service).into_iter().filter(|file| !self.submission.compose_files.contains(file)));
        if !files.contains(&env) {
            files.push(env);
        }
        files.into_iter().filter_map(|file| Some((file.clone(), self.text(&file)?))).collect()
    }

    /// The lines of a file that speak of the service: all, but of the compose file only what gives its code a host.
    fn lines_of(self, service: &str, file: &Path) -> Vec<usize> {
        let number = |line: u32| usize::try_from(line).unwrap_or_default();
        let (Some(compose), Some(def)) = (self.compose(), self.service(service)) else { return Vec::new() };
        if file != compose.path {
            let lines = self.text(file).map_or(0, |text| text.lines().count());
            return (1..=lines).collect();
        }
        // A key's value ends where the next key of any service begins.
        let keys = || compose.services.iter().flat_map(|s| s.keys.values().chain([&s.at])).map(|at| number(at.line));
        let mut lines = Vec::new();
        for at in GIVES.iter().filter_map(|key| def.keys.get(*key)) {
            let from = number(at.line);
            let to = keys().filter(|line| *line > from).min().unwrap_or_else(|| self.until_unindented(file, from));
            lines.extend(from..to);
        }
        lines
    }

    /// Where the last key of the last service ends.
    fn until_unindented(self, file: &Path, from: usize) -> usize {
        let text = self.text(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let top = |line: &str| !line.is_empty() && !line.starts_with([' ', '\t', '#']);
        (from..lines.len()).find(|n| top(lines[*n])).map_or(lines.len() + 1, |n| n + 1)
    }
}

fn is_code(file: &Path) -> bool {
    const SETTINGS: [&str; 9] = ["ini", "cfg", "conf", "cnf", "env", "properties", "yml", "yaml", "toml"];
    let name = file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    !SETTINGS.contains(&name.rsplit('.').next().unwrap_or_default())
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    ["#", "//", "*", "/*", ";", "--", "<!--"].iter().any(|mark| line.starts_with(mark))
}

/// Whether a line writes a host out, and not a longer name that it is a part of: between quotes, or behind `@` or `//`; in a
/// file of settings also as a plain value.
fn writes(line: &str, host: &str, code: bool) -> bool {
    let (lower, host) = (line.to_ascii_lowercase(), host.to_ascii_lowercase());
    // A plain name is also a driver's or a user's: the line must speak of a host.
    if !host.contains(['.', ':']) && !HOST_WORDS.iter().any(|word| lower.contains(word)) {
        return false;
    }
    // Where it listens, or who may visit it, is not whom it dials.
    if LISTENS.iter().any(|word| lower.contains(word)) {
        return false;
    }
    // What is behind it is a comment.
    let said = [" #", " //"].iter().filter_map(|mark| lower.find(mark)).min().map_or(lower.as_str(), |at| &lower[..at]);
    said.match_indices(&host).any(|(at, _)| {
        let before = said[..at].chars().next_back();
        let after = said[at + host.len()..].chars().next();
        let quote = |c: char| matches!(c, '"' | '\'' | '`');
        let begins = match before {
            Some(c) if quote(c) || c == '@' => true,
            Some('/') => said[..at].ends_with("//"),
            // `mysql:host=db;dbname=x` of PHP, also where the rest is code.
            Some('=') => said[..at].ends_with("host=") || !code,
            Some(c) => !code && (c == ':' || c.is_whitespace()),
            None => false,
        };
        let ends = after.is_none_or(|c| quote(c) || matches!(c, ':' | '/' | ';' | ',') || (!code && c.is_whitespace()));
        begins && ends
    })
}

/// Whether a line has a text between quotes, whole.
fn quoted(line: &str, text: &str) -> bool {
    !text.is_empty() && ['"', '\'', '`'].iter().any(|q| line.contains(&format!("{q}{text}{q}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_written_whole_or_not_at_all() {
        for line in ["app.run(host='127.0.0.1')", "app.listen(3000, '127.0.0.1')", "ALLOWED_HOSTS = ['127.0.0.1']"] {
            assert!(!writes(line, "127.0.0.1", true), "{line}");
        }
        for line in [
            "host=\"192.168.1.20\",",
            "    'host' => '192.168.1.20:3306',",
            "url = 'mysql://root:x@192.168.1.20:3306/reserva'",
            "new PDO('mysql:host=192.168.1.20;dbname=x')",
            "fetch(`http://192.168.1.20/`)",
        ] {
            assert!(writes(line, "192.168.1.20", true), "{line}");
        }
        for line in
            ["host=\"192.168.1.200\"", "x = 192.168.1.20", "host=\"10.192.168.1.20\"", "\"192.168.1.20.example\""]
        {
            assert!(!writes(line, "192.168.1.20", true), "{line}");
        }
        for line in [
            "import mysql.connector",
            "from mysql import x",
            "mysql.connect(",
            "\"mysql.connector\"",
            "'mysqld'",
            "dialect: 'mysql',",
            "driver=\"mysql\"",
            "host='db', # was host='mysql'",
        ] {
            assert!(!writes(line, "mysql", true), "{line}");
        }
        for line in [
            "DB_HOST=bd",
            "DB_HOST: bd",
            "      - DB_HOST=bd",
            "host: bd # here",
            "DB_URL=mysql://u:p@bd/x",
            "SERVER: bd",
        ] {
            assert!(writes(line, "bd", false), "{line}");
        }
        assert!(!writes("MYSQL_DATABASE: bd", "bd", false) && writes("DB: 10.0.0.9", "10.0.0.9", false));
        assert!(!writes("DB_HOST=bdatos", "bd", false) && !writes("NAME=abd", "bd", false));
    }
}
