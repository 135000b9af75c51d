//! Where a host, an address or a text is written in what is a service's own: its code, its settings, its part of the compose
//! file.

use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::{LookAt, View, shown};
use crate::text::Text;

/// Keys of a service that may give its code a host.
const GIVES: [&str; 4] = ["environment", "command", "entrypoint", "extra_hosts"];

/// What a line that gives a host has in it.
const HOST_WORDS: [&str; 12] =
    ["host", "server", "connect", "url", "uri", "dsn", "addr", "mysqli(", "pdo(", "client(", "redis(", "://"];

/// What a line has that says where something listens, or who may visit it.
const LISTENS: [&str; 6] = [".run(", "listen", "bind", "origin", "server_name", "allowed_hosts"];

/// What a line has that only tells something.
const PRINTS: [&str; 8] = ["print", "console.", "echo ", "logger.", "logging.", "log.", "puts ", "\"proxy\""];

/// What opens a server of one's own.
const SERVES: [&str; 3] = [".run(", "listen(", "run_simple("];
/// So many lines a call may be long.
const CALL_LINES: usize = 12;

impl View<'_> {
    /// Each place that writes one of these hosts out, those of the compose file first. `ports` are those that were dialled
    /// there; where none is known, any may be.
    ///
    /// Its own machine is written for many reasons: of several lines that name it, none is sure.
    pub fn written(self, service: &str, hosts: &[String], ports: &[u16]) -> Vec<LookAt> {
        let mut found = Vec::new();
        let mut of_itself = 0;
        for (file, text) in self.sources(service) {
            let spans = self.lines_of(service, &file);
            let code = is_code(&file);
            let lines: Vec<&str> = text.lines().collect();
            for (n, line) in lines.iter().enumerate() {
                if !spans.iter().any(|span| span.contains(&(n + 1))) || is_comment(line) {
                    continue;
                }
                let Some(host) = hosts.iter().find(|host| writes(line, host, ports, code)) else { continue };
                if call(&lines, n).is_some_and(|call| LISTENS.iter().chain(&PRINTS).any(|word| call.contains(word))) {
                    continue;
                }
                of_itself += usize::from(is_itself(host));
                let what = Text::new(format!("`{host}` is written here"), format!("aquí está escrito `{host}`"));
                found.push(LookAt::new(&file, n + 1, what));
            }
        }
        if of_itself > 1 { Vec::new() } else { found }
    }

    /// The one line by which the service's code lets only its own container in; none where several do.
    pub fn listens_to_itself(self, service: &str) -> Option<LookAt> {
        let own = self.own_files(service);
        let mut found = Vec::new();
        for file in own.files.iter().filter(|file| is_code(file)) {
            let text = self.text(file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for (n, line) in lines.iter().enumerate().filter(|(_, line)| !is_comment(line)) {
                let lower = line.to_ascii_lowercase();
                let serves = |text: &str| SERVES.iter().any(|word| text.contains(word));
                let itself = ["127.0.0.1", "localhost", "::1"].iter().any(|host| quoted(&lower, host));
                if itself && (serves(&lower) || call(&lines, n).is_some_and(|call| serves(&call))) {
                    found.push((file, n + 1, shown(line)));
                }
            }
        }
        let [(file, line, said)] = found.as_slice() else { return None };
        let what = Text::new(
            format!("it listens to its own container only: `{said}`"),
            format!("solo escucha a su propio contenedor: `{said}`"),
        );
        (!own.cut).then(|| LookAt::new(file, *line, what))
    }

    /// The one line of the service's code that has a text between quotes; none where several do.
    pub fn said_by(self, service: &str, text: &str) -> Option<LookAt> {
        let text = text.trim();
        // What is shorter, or one word, may be said by anybody.
        if text.len() < 10 || !text.contains(' ') {
            return None;
        }
        let own = self.own_files(service);
        let mut found = own.files.iter().filter(|file| !own.cut && is_code(file)).flat_map(|file| {
            let code = self.text(file).unwrap_or_default();
            let lines = code.lines().enumerate().filter(|(_, line)| quoted(line, text) && !is_comment(line));
            lines.map(|(n, _)| (file.clone(), n + 1)).collect::<Vec<_>>()
        });
        let (file, line) = found.next()?;
        let what = Text::new("its last words are written here", "aquí están escritas sus últimas palabras");
        found.next().is_none().then(|| LookAt::new(&file, line, what))
    }

    /// Where the code holds values of the database instead of asking for them: at least two of them in one file.
    pub fn constants(self, service: &str, values: &[String]) -> Option<LookAt> {
        let needles = any_quoted(values)?;
        self.own_files(service).files.iter().filter(|file| is_code(file)).find_map(|file| {
            let text = self.text(file)?;
            let lines = text.lines().enumerate().filter(|(_, line)| !is_comment(line));
            let mut hits =
                lines.filter_map(|(n, line)| Some((n + 1, unquoted(needles.find(line)?.as_str()).to_owned())));
            let (line, first) = hits.next()?;
            let what = Text::new(
                format!("rows of the database are written into the code, such as `{first}`"),
                format!("hay filas de la base de datos escritas en el código, como `{first}`"),
            );
            hits.any(|(_, value)| value != first).then(|| LookAt::new(file, line, what))
        })
    }

    /// The compose file, the `.env` beside it, and the service's own files, with their texts.
    fn sources(self, service: &str) -> Vec<(PathBuf, String)> {
        let Some(compose) = self.compose() else { return Vec::new() };
        let env = compose.path.with_file_name(".env");
        let mut files = vec![compose.path.clone()];
        files.extend(
            self.own_files(service).files.into_iter().filter(|file| !self.submission.compose_files.contains(file)),
        );
        if !files.contains(&env) {
            files.push(env);
        }
        files.into_iter().filter_map(|file| Some((file.clone(), self.text(&file)?))).collect()
    }

    /// The lines of a file that speak of the service: all, but of the compose file only what gives its code a host.
    fn lines_of(self, service: &str, file: &Path) -> Vec<Range<usize>> {
        let number = |line: u32| usize::try_from(line).unwrap_or_default();
        let (Some(compose), Some(def)) = (self.compose(), self.service(service)) else { return Vec::new() };
        if file != compose.path {
            return std::iter::once(1..usize::MAX).collect();
        }
        // A key's value ends where the next key of any service begins.
        let keys = || compose.services.iter().flat_map(|s| s.keys.values().chain([&s.at])).map(|at| number(at.line));
        let spans = GIVES.iter().filter_map(|key| def.keys.get(*key)).filter(|at| self.is_of(def, at)).map(|at| {
            let from = number(at.line);
            from..keys().filter(|line| *line > from).min().unwrap_or_else(|| self.until_unindented(file, from))
        });
        spans.collect()
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

/// Whether a host is the app's own container.
fn is_itself(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Whether a line writes a host out, and not a longer name that it is a part of: between quotes, or behind `@` or `//`; in a
/// file of settings also as a plain value. What has another port than one of `ports` behind it is another server.
fn writes(line: &str, host: &str, ports: &[u16], code: bool) -> bool {
    let (lower, host) = (line.to_ascii_lowercase(), host.to_ascii_lowercase());
    // A plain name is also a driver's or a user's: the line must speak of a host.
    if !host.contains(['.', ':']) && !HOST_WORDS.iter().any(|word| lower.contains(word)) {
        return false;
    }
    // Where it listens, who may visit it and what it tells is not whom it dials.
    if LISTENS.iter().chain(&PRINTS).any(|word| lower.contains(word)) {
        return false;
    }
    // What is behind it is a comment.
    let said = [" #", " //"].iter().filter_map(|mark| lower.find(mark)).min().map_or(lower.as_str(), |at| &lower[..at]);
    said.match_indices(&host).any(|(at, _)| {
        let (head, tail) = (&said[..at], &said[at + host.len()..]);
        let (before, after) = (head.chars().next_back(), tail.chars().next());
        let quote = |c: char| matches!(c, '"' | '\'' | '`');
        let begins = match before {
            Some(c) if quote(c) || c == '@' => true,
            // A page's address is no database's.
            Some('/') => head.ends_with("//") && !["http://", "https://"].iter().any(|page| head.ends_with(page)),
            // `mysql:host=db;dbname=x` of PHP, also where the rest is code.
            Some('=') => head.ends_with("host=") || !code,
            Some(c) => !code && (c == ':' || c.is_whitespace()),
            None => false,
        };
        let ends = after.is_none_or(|c| quote(c) || matches!(c, ':' | '/' | ';' | ',') || (!code && c.is_whitespace()));
        let port =
            tail.strip_prefix(':').map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
        let other =
            port.and_then(|port| port.parse().ok()).is_some_and(|port| !ports.is_empty() && !ports.contains(&port));
        begins && ends && !other
    })
}

/// The line that opens the call which a line stands in, in lower case.
fn call(lines: &[&str], n: usize) -> Option<String> {
    let mut depth = 0_i64;
    for line in lines[..n].iter().rev().take(CALL_LINES) {
        for c in line.chars().rev() {
            depth += i64::from(c == ')') - i64::from(c == '(');
            if depth < 0 {
                return Some(line.to_ascii_lowercase());
            }
        }
    }
    None
}

/// Whether a line has a text between quotes, whole.
fn quoted(line: &str, text: &str) -> bool {
    !text.is_empty() && ['"', '\'', '`'].iter().any(|q| line.contains(&format!("{q}{text}{q}")))
}

/// One of several texts between quotes, whole; one pattern for all, since the code may be long.
fn any_quoted(texts: &[String]) -> Option<Regex> {
    let mut texts: Vec<String> = texts.iter().filter(|text| !text.is_empty()).map(|text| regex::escape(text)).collect();
    texts.sort();
    texts.dedup();
    let any = texts.join("|");
    if any.is_empty() { None } else { Regex::new(&format!("\"(?:{any})\"|'(?:{any})'|`(?:{any})`")).ok() }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\'', '`'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_written_whole_or_not_at_all() {
        for line in ["app.run(host='127.0.0.1')", "app.listen(3000, '127.0.0.1')", "ALLOWED_HOSTS = ['127.0.0.1']"] {
            assert!(!writes(line, "127.0.0.1", &[3306], true), "{line}");
        }
        for line in [
            "host=\"192.168.1.20\",",
            "    'host' => '192.168.1.20:3306',",
            "url = 'mysql://root:x@192.168.1.20:3306/reserva'",
            "new PDO('mysql:host=192.168.1.20;dbname=x')",
            "connect(`mysql://192.168.1.20/`)",
        ] {
            assert!(writes(line, "192.168.1.20", &[3306], true), "{line}");
        }
        for line in [
            "fetch(`http://192.168.1.20/`)",
            "'host' => '192.168.1.20:5000',",
            "console.log('192.168.1.20')",
            "\"proxy\": \"192.168.1.20\"",
            "print(f'dials {x}', '192.168.1.20')",
        ] {
            assert!(!writes(line, "192.168.1.20", &[3306], true), "{line}");
        }
        assert!(writes("'host' => '192.168.1.20:5000',", "192.168.1.20", &[], true), "it is not known which port");
        for line in
            ["host=\"192.168.1.200\"", "x = 192.168.1.20", "host=\"10.192.168.1.20\"", "\"192.168.1.20.example\""]
        {
            assert!(!writes(line, "192.168.1.20", &[3306], true), "{line}");
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
            assert!(!writes(line, "mysql", &[3306], true), "{line}");
        }
        for line in [
            "DB_HOST=bd",
            "DB_HOST: bd",
            "      - DB_HOST=bd",
            "host: bd # here",
            "DB_URL=mysql://u:p@bd/x",
            "SERVER: bd",
        ] {
            assert!(writes(line, "bd", &[3306], false), "{line}");
        }
        assert!(!writes("MYSQL_DATABASE: bd", "bd", &[], false) && writes("DB: 10.0.0.9", "10.0.0.9", &[], false));
        assert!(!writes("DB_HOST=bdatos", "bd", &[], false) && !writes("NAME=abd", "bd", &[], false));
    }
}
