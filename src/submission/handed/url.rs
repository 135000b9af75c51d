//! The URL of a git repository as it may be given, and what of it is shown.

use super::TakeError;
use crate::sanitize;

/// A URL that git may be given.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct GitUrl {
    /// With whatever it holds to be let in by.
    secret: String,
    /// Without.
    pub(super) shown: String,
    pub(super) branch: Option<String>,
}

impl std::fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitUrl").field("shown", &self.shown).field("branch", &self.branch).finish_non_exhaustive()
    }
}

const SCHEMES: [&str; 3] = ["https", "ssh", "file"];

impl GitUrl {
    /// Reads what was given; none where it is no URL but a path.
    pub(super) fn parse(given: &str, branch: Option<&str>) -> Result<Option<Self>, TakeError> {
        let scheme = given.split_once("://").map(|(scheme, _)| scheme).filter(|s| is_scheme(s));
        if scheme.is_none() && !is_scp(given) {
            return match given.split_once("::").filter(|(helper, _)| is_scheme(helper)) {
                Some((helper, _)) => Err(refused(helper)),
                None => Ok(None),
            };
        }
        if let Some(scheme) = scheme.filter(|scheme| !SCHEMES.contains(scheme)) {
            return Err(refused(scheme));
        }
        let (url, fragment) = match given.split_once('#') {
            Some((url, fragment)) => (url, Some(fragment)),
            None => (given, None),
        };
        let branch = branch.or(fragment.filter(|f| !f.is_empty()));
        if branch.is_some_and(|b| b.starts_with('-') || b.contains(|c: char| c.is_control() || c == ' ')) {
            return Err(TakeError::caller("no branch has such a name", "ninguna rama se llama así"));
        }
        // git refuses such hosts too: ssh would take them for an option.
        let place = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = place.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        if host.starts_with('-') || place.starts_with('-') || url.contains(|c: char| c.is_control()) {
            return Err(TakeError::caller("this is no URL of a repository", "esta no es la URL de un repositorio"));
        }
        let shown = sanitize::line(&without_secret(url), 400);
        Ok(Some(Self { secret: url.to_owned(), shown, branch: branch.map(str::to_owned) }))
    }

    /// For git's command line.
    pub(super) fn whole(&self) -> &str {
        &self.secret
    }

    /// What git says, without what may not be shown of the URL.
    pub(super) fn cleaned(&self, said: &str) -> String {
        let said = said.replace(&self.secret, &self.shown);
        match credentials(&self.secret) {
            Some(credentials) => said.replace(credentials, "…"),
            None => said,
        }
    }

    /// The folder of a `file://` URL.
    pub(super) fn folder(&self) -> Option<&str> {
        self.secret.strip_prefix("file://")
    }

    /// The repository's name: the last part of its path.
    pub(super) fn name(&self) -> String {
        let path = self.shown.trim_end_matches('/');
        let last = path.rsplit(['/', ':']).next().unwrap_or_default();
        let last = last.strip_suffix(".git").unwrap_or(last);
        if last.is_empty() { "repository".to_owned() } else { last.to_owned() }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// `git@host:path`, as hosts show it.
fn is_scp(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    plain(user) && rest.split_once(':').is_some_and(|(host, path)| plain(host) && !path.is_empty())
}

/// `user:password` of a URL with a scheme.
fn credentials(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    authority.rsplit_once('@').map(|(credentials, _)| credentials).filter(|c| !c.is_empty())
}

/// Also a name alone may be a token.
fn without_secret(url: &str) -> String {
    match credentials(url) {
        Some(credentials) if !url.starts_with("ssh://") || credentials.contains(':') => {
            url.replacen(&format!("{credentials}@"), "", 1)
        }
        _ => url.to_owned(),
    }
}

fn refused(scheme: &str) -> TakeError {
    let scheme = sanitize::line(scheme, 40);
    TakeError::caller(
        format!("submissions are not fetched by `{scheme}`: give a URL with https://, ssh://, git@… or file://"),
        format!("no se traen entregas por `{scheme}`: indique una URL con https://, ssh://, git@… o file://"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &str) -> Option<GitUrl> {
        GitUrl::parse(given, None).unwrap()
    }

    #[test]
    fn urls_are_told_from_paths() {
        for url in ["https://h/a/b.git", "ssh://git@h/b", "git@github.com:ana/b.git", "file:///srv/b.git"] {
            let url = parsed(url).unwrap();
            assert_eq!((url.name().as_str(), url.branch.as_deref()), ("b", None));
        }
        for path in ["folder", "./a@b", "ana@work/x", "a b@c:d", "x.zip", "-oProxy", "C:\\x", "a@-:"] {
            assert_eq!(parsed(path), None, "{path}");
        }
        let url = parsed("https://h/a#exam/2").unwrap();
        assert_eq!((url.whole(), url.branch.as_deref()), ("https://h/a", Some("exam/2")));
        assert_eq!(GitUrl::parse("https://h/a#x", Some("main")).unwrap().unwrap().branch.as_deref(), Some("main"));
        assert_eq!(parsed("file:///srv/b.git").unwrap().folder(), Some("/srv/b.git"));
    }

    #[test]
    fn what_runs_something_else_is_refused() {
        for bad in [
            "ext::sh -c id",
            "http://h/a",
            "git://h/a",
            "ftp://h/a",
            "ssh://-oProxyCommand=id/x",
            "ssh://a@-oProxyCommand=id/x",
            "https://h/a\nb",
            "https://h/a#-x",
            "https://h/a#x y",
        ] {
            assert!(GitUrl::parse(bad, None).is_err(), "{bad}");
        }
        assert!(GitUrl::parse("https://h/a", Some("--upload-pack=id")).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let url = parsed("https://ana:t0ken@h.org/a/b").unwrap();
        assert_eq!(url.shown, "https://h.org/a/b");
        assert_eq!(
            url.cleaned("fatal: 'https://ana:t0ken@h.org/a/b/info' (ana:t0ken)"),
            "fatal: 'https://h.org/a/b/info' (…)"
        );
        assert_eq!(parsed("https://t0ken@h.org/a").unwrap().shown, "https://h.org/a");
        assert_eq!(parsed("ssh://git@h.org/a").unwrap().shown, "ssh://git@h.org/a");
        assert!(!format!("{url:?}").contains("t0ken"));
    }
}
