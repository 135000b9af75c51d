//! What set-up needs to know of this host: its package mirror, its certificates, its tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Progress;
use crate::exec::local::Local;
use crate::exec::{Cmd, Output, RunError, Said, ShellExt};

/// The release that base image and stand-ins are made of.
pub(super) const SUITE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";

/// Where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirrors {
    pub(super) main: String,
    pub(super) security: String,
}

impl Mirrors {
    /// `IMPARCIAL_DEBIAN_MIRROR`, else the ones that this host uses for the same release, else Debian's own.
    pub(super) fn of_host() -> Self {
        let mut texts = vec![fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
        let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
            .map(|dir| dir.filter_map(|entry| entry.ok().map(|e| e.path())).collect())
            .unwrap_or_default();
        files.sort();
        texts.extend(files.iter().filter_map(|path| fs::read_to_string(path).ok()));
        let mut found = Self::find(&texts.join("\n\n"));
        if let Some(named) = std::env::var("IMPARCIAL_DEBIAN_MIRROR").ok().filter(|value| !value.is_empty()) {
            found.main = named;
        }
        found
    }

    /// Reads both forms of apt's lists: one line an entry, or a paragraph of fields.
    fn find(text: &str) -> Self {
        let mut found = Self { main: String::new(), security: String::new() };
        let mut offer = |uri: &str, suites: &[&str]| {
            // Mirrors of other kinds (file:, cdrom:, mirror+) mean something on this host only.
            if !uri.starts_with("http://") && !uri.starts_with("https://") {
                return;
            }
            let security = format!("{SUITE}-security");
            if found.main.is_empty() && suites.contains(&SUITE) {
                found.main = uri.trim_end_matches('/').to_owned();
            }
            if found.security.is_empty() && suites.contains(&security.as_str()) {
                found.security = uri.trim_end_matches('/').to_owned();
            }
        };
        for paragraph in text.split("\n\n") {
            let field = |name: &str| {
                paragraph.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
            };
            if let (Some(uris), Some(suites)) = (field("URIs:"), field("Suites:")) {
                let suites: Vec<&str> = suites.split_whitespace().collect();
                if field("Enabled:").is_none_or(|value| value != "no") {
                    uris.split_whitespace().take(1).for_each(|uri| offer(uri, &suites));
                }
            }
            for line in paragraph.lines().map(str::trim).filter(|line| line.starts_with("deb ")) {
                let words: Vec<&str> = line.split_whitespace().skip(1).skip_while(|w| w.starts_with('[')).collect();
                if let [uri, suite, ..] = words[..] {
                    offer(uri, &[suite]);
                }
            }
        }
        if found.main.is_empty() {
            found.main = MIRROR.to_owned();
        }
        if found.security.is_empty() {
            found.security = SECURITY.to_owned();
        }
        found
    }

    /// For the base image.
    pub(super) fn sources_list(&self) -> String {
        let Self { main, security } = self;
        format!("deb {main} {SUITE} main\ndeb {main} {SUITE}-updates main\ndeb {security} {SUITE}-security main\n")
    }
}

/// The certificates that this host trusts, as one text; empty where it has none.
pub(super) fn certificates() -> String {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    named.iter().map(String::as_str).chain(usual).find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// The proxies of our environment, for builds; both spellings, since tools differ.
pub(super) fn proxies() -> Vec<(String, String)> {
    let names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    names.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

/// The full path of a program; system folders count even where PATH leaves them out.
pub(super) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]);
    folders.filter(|f| !f.is_empty()).map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

/// Runs a command as root: as it is where we are root, else through sudo, which must not ask.
pub(super) fn as_root<'a>(argv: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let sudo: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["sudo", "-n"] };
    sudo.iter().copied().chain(argv).map(str::to_owned).collect()
}

/// Runs a tool of this host that takes a while, telling its lines.
pub(super) async fn followed(cmd: &Cmd, what: &str, progress: &dyn Progress) -> Result<Output, RunError> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let said: Said = Arc::new(move |line| drop(tell.send(line.to_owned())));
    let running = Local.must_follow(cmd, said);
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            Some(line) = told.recv() => progress.line(what, &line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_mirror_is_found_in_both_forms() {
        let fields = "Types: deb\nURIs: http://mirror.example.org/debian/\nSuites: bookworm bookworm-updates\n\n\
                      Types: deb\nURIs: http://mirror.example.org/sec\nSuites: bookworm-security\n";
        let expected = Mirrors {
            main: "http://mirror.example.org/debian".into(),
            security: "http://mirror.example.org/sec".into(),
        };
        assert_eq!(Mirrors::find(fields), expected);
        let lines = "# deb http://no.example.org x main\n\
                     deb [signed-by=/x] http://mirror.example.org/debian bookworm main\n\
                     deb http://mirror.example.org/sec bookworm-security main";
        assert_eq!(Mirrors::find(lines), expected);
    }

    #[test]
    fn another_release_or_kind_gives_debians_own() {
        let other = "deb http://archive.ubuntu.com/ubuntu jammy main\n\ndeb file:/srv/mirror bookworm main";
        assert_eq!(Mirrors::find(other), Mirrors { main: MIRROR.into(), security: SECURITY.into() });
        assert!(Mirrors::find("").sources_list().contains("bookworm-security main"));
    }
}
