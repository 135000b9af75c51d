//! Where a page leads: the links that a careful visitor may follow, and what its scripts fetch.
//!
//! Following a link must change nothing, so whatever says that it deletes, edits or logs out is left alone, and what may
//! write (`add`, `insert`) comes last.

use std::collections::HashSet;

use url::Url;

use super::html::{self, Token};
use super::text::unescape;

/// A page that may be looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub url: Url,
    /// A script of the page asks for it, not the visitor.
    pub fetched: bool,
}

/// Which URLs belong to the stack, and how they are reached from where the probe stands.
pub struct Origins<'a> {
    /// The address at which published ports are.
    pub address: &'a str,
    /// Ports that services of the stack publish.
    pub ports: &'a [u16],
}

impl<'a> Origins<'a> {
    /// As seen from a page: its links lead to ports of the machine that it is on. `home` is that of a loopback address.
    pub fn beside(page: &'a Url, home: &'a str, ports: &'a [u16]) -> Self {
        Self { address: page.host_str().filter(|host| !host.starts_with("127.")).unwrap_or(home), ports }
    }

    /// The URL as the probe reaches it; none where it leads out of the stack. What the browser calls its own machine is the
    /// machine that the ports are published on.
    pub fn reach(&self, url: &Url) -> Option<Url> {
        let port = url.port_or_known_default()?;
        let host = url.host_str()?;
        let ours = host == self.address || matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]");
        if url.scheme() != "http" || !ours || !self.ports.contains(&port) {
            return None;
        }
        let mut url = url.clone();
        url.set_host(Some(self.address)).ok()?;
        url.set_fragment(None);
        Some(url)
    }
}

/// The links of a page at `base`, in the order in which to try them; one for each URL, `base` itself left out.
pub fn links(page: &str, base: &Url, origins: &Origins<'_>) -> Vec<Link> {
    let mut found: Vec<(u8, Link)> = Vec::new();
    let mut known: HashSet<Url> = origins.reach(base).into_iter().collect();
    let mut add = |rank: u8, target: &str, text: &str, fetched: bool| {
        let Some(url) = base.join(target.trim()).ok().and_then(|url| origins.reach(&url)) else { return };
        let said = [url.path(), url.query().unwrap_or_default(), text];
        if said.iter().any(|s| says(s, &HARMFUL)) || is_asset(&url) {
            return;
        }
        let rank = if said.iter().any(|s| says(s, &WRITES)) { 9 } else { rank };
        if known.insert(url.clone()) {
            found.push((rank, Link { url, fetched }));
        }
    };
    let tokens = html::tokens(page);
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Open(name, _) if name == "a" || name == "area" => {
                if let Some(target) = token.attribute("href") {
                    add(1, target, &label(&tokens[i..]), false);
                }
            }
            Token::Open(name, _) if name == "frame" || name == "iframe" => {
                if let Some(target) = token.attribute("src") {
                    add(0, target, "", false);
                }
            }
            Token::Open(name, _) if name == "meta" => {
                let refresh = token.attribute("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh"));
                let target =
                    token.attribute("content").and_then(|c| c.to_ascii_lowercase().find("url=").map(|at| &c[at + 4..]));
                if let (true, Some(target)) = (refresh, target) {
                    add(0, target.trim_matches(['"', '\'']), "", false);
                }
            }
            Token::Script(script) => {
                for target in fetches(script) {
                    add(2, &target, "", true);
                }
            }
            _ => {}
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, link)| link).collect()
}

/// The scripts of its own that a page loads.
pub fn scripts(page: &str, base: &Url, origins: &Origins<'_>) -> Vec<Url> {
    html::tokens(page)
        .iter()
        .filter(|t| matches!(t, Token::Open(name, _) if name == "script"))
        .filter_map(|t| origins.reach(&base.join(t.attribute("src")?).ok()?))
        .collect()
}

/// URLs that a script asks for: `fetch("/api")`, `axios.get('…')`, `$.getJSON(…)`, `url: "…"`, `open("GET", "…")`.
pub fn fetches(script: &str) -> Vec<String> {
    const CALLS: [&str; 9] =
        ["fetch(", "axios(", "axios.get(", ".get(", ".getJSON(", ".ajax(", ".load(", "url:", ".open("];
    let mut out: Vec<String> = Vec::new();
    for call in CALLS {
        for (at, _) in script.match_indices(call) {
            let mut rest = script[at + call.len()..].trim_start();
            if call == ".open(" {
                let Some((method, after)) = literal(rest) else { continue };
                if !method.eq_ignore_ascii_case("get") {
                    continue;
                }
                rest = after.trim_start().trim_start_matches(',').trim_start();
            }
            let Some((target, after)) = literal(rest) else { continue };
            // Another method than GET writes.
            let options = after.split(';').next().unwrap_or_default().to_ascii_lowercase();
            let writes = ["post", "put", "delete", "patch"].iter().any(|m| says(&options, &[m]));
            if !target.is_empty() && !target.contains("${") && !writes && !out.contains(&target) {
                out.push(target);
            }
        }
    }
    out
}

/// A quoted text at the beginning, and what comes after it.
fn literal(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let (inner, after) = text[1..].split_once(quote)?;
    (inner.len() < 500).then(|| (unescape(inner), after))
}

/// The text of a link: what stands before its closing tag, its title and its picture's name.
fn label(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens.iter().take(30) {
        match token {
            Token::Close(name) if name == "a" => break,
            Token::Text(text) => out.push_str(text),
            _ => {
                for name in ["title", "alt", "class", "onclick"] {
                    out.push(' ');
                    out.push_str(token.attribute(name).unwrap_or_default());
                }
            }
        }
        out.push(' ');
    }
    out
}

const HARMFUL: [&str; 27] = [
    "delete",
    "deleted",
    "del",
    "borrar",
    "borra",
    "eliminar",
    "elimina",
    "remove",
    "remover",
    "quitar",
    "drop",
    "reset",
    "resetear",
    "edit",
    "editar",
    "edita",
    "update",
    "actualizar",
    "modificar",
    "logout",
    "signout",
    "salir",
    "destroy",
    "clear",
    "vaciar",
    "truncate",
    "shutdown",
];

/// Mostly a form; some applications write when it is asked for.
const WRITES: [&str; 22] = [
    "add",
    "insert",
    "insertar",
    "create",
    "crear",
    "new",
    "nuevo",
    "nueva",
    "agregar",
    "registrar",
    "register",
    "guardar",
    "save",
    "setup",
    "install",
    "init",
    "seed",
    "migrate",
    "load",
    "cargar",
    "poblar",
    "populate",
];

/// One of the words stands in the text by itself, or as a word of `camelCase` or `snake_case`.
fn says(text: &str, words: &[&str]) -> bool {
    let mut word = String::new();
    let mut before = ' ';
    for c in text.chars().chain([' ']) {
        let hump = c.is_uppercase() && before.is_lowercase();
        if !c.is_alphabetic() || hump {
            if words.contains(&word.as_str()) {
                return true;
            }
            word.clear();
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    false
}

/// Pictures, styles and documents hold no rows.
fn is_asset(url: &Url) -> bool {
    const ENDINGS: [&str; 16] = [
        "css", "js", "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "woff", "woff2", "ttf", "pdf", "zip", "mp4",
        "map",
    ];
    let name = url.path().rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINS: Origins<'_> = Origins { address: "172.17.0.2", ports: &[5000, 8081] };

    fn urls(page: &str) -> Vec<String> {
        let base = Url::parse("http://172.17.0.2:5000/").unwrap();
        links(page, &base, &ORIGINS).into_iter().map(|l| l.url.to_string()).collect()
    }

    #[test]
    fn links_of_the_stack_are_followed_and_no_others() {
        let page = r#"<a href="/list">x</a> <a href='items?p=1&amp;q=2#top'>x</a> <a href="http://localhost:5000/abs">x</a>
            <a href="http://127.0.0.1:8081/api">x</a> <a href="http://172.17.0.2:9999/">x</a> <a href="https://example.org/">x</a>
            <a href="mailto:a@b.c">x</a> <a href="/">home</a> <a href='#a'>x</a> <a href="/list">again</a> <a href="/logo.png">x</a>"#;
        assert_eq!(
            urls(page),
            [
                "http://172.17.0.2:5000/list",
                "http://172.17.0.2:5000/items?p=1&q=2",
                "http://172.17.0.2:5000/abs",
                "http://172.17.0.2:8081/api"
            ]
        );
    }

    #[test]
    fn what_destroys_is_never_followed() {
        for link in [
            "<a href='/delete/1'>x</a>",
            "<a href='/x?action=borrar'>x</a>",
            "<a href='/deleteUser'>x</a>",
            "<a href='/user_eliminar.php'>x</a>",
            "<a href='/x'>Editar</a>",
            "<a href='/x'><i class='icon-remove'></i></a>",
            "<a href='/LOGOUT'>x</a>",
            "<a href='/x' title='Salir'>x</a>",
            "<a href='/DropTable'>x</a>",
        ] {
            assert_eq!(urls(link), Vec::<String>::new(), "{link}");
        }
        assert_eq!(urls("<a href='/editorial'>Editorial dropdown</a>").len(), 1);
    }

    #[test]
    fn what_may_write_comes_last_and_frames_first() {
        let page = "<a href='/add'>x</a><a href='/list'>x</a><iframe src='/f'></iframe><meta http-equiv='Refresh' content='0; URL=/m'>";
        let short: Vec<String> =
            urls(page).iter().map(|u| u.rsplit('/').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(short, ["f", "m", "list", "add"]);
    }

    #[test]
    fn what_scripts_fetch_is_found() {
        let page = r#"<script>
            fetch('http://127.0.0.1:8081/api/aves').then(r => r.json());
            axios.get("/rows"); $.ajax({type: "GET", url: '/ajax'});
            xhr.open('GET', '/xhr'); xhr.open("POST", "/never");
            fetch("/save", {method: 'POST', body: b}); fetch(`/item/${id}`);
        </script>"#;
        let mut found = urls(page);
        found.sort();
        assert_eq!(
            found,
            [
                "http://172.17.0.2:5000/ajax",
                "http://172.17.0.2:5000/rows",
                "http://172.17.0.2:5000/xhr",
                "http://172.17.0.2:8081/api/aves"
            ]
        );
    }

    #[test]
    fn own_scripts_are_named() {
        let base = Url::parse("http://172.17.0.2:5000/a/").unwrap();
        let page = "<script src='app.js'></script><script src='https://cdn.example/x.js'></script>";
        let found = scripts(page, &base, &ORIGINS);
        assert_eq!(found.iter().map(Url::as_str).collect::<Vec<_>>(), ["http://172.17.0.2:5000/a/app.js"]);
    }
}
