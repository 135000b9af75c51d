//! Who may look into a store: what its own container's environment says, as the official images read it.

use crate::agent::Login;

/// The passwords that have to be read elsewhere before [`logins`] can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `NAME` of each `NAME_FILE` in the environment, with the path inside the container.
    pub files: Vec<(String, String)>,
    /// The image made a password up and printed it.
    pub random: bool,
}

const NAMES: [&str; 6] = [
    "MARIADB_ROOT_PASSWORD",
    "MYSQL_ROOT_PASSWORD",
    "MARIADB_USER",
    "MYSQL_USER",
    "MARIADB_PASSWORD",
    "MYSQL_PASSWORD",
];

/// What an environment says must be read elsewhere.
pub fn hints(env: &[String]) -> Hints {
    let files =
        NAMES.iter().filter_map(|name| Some(((*name).to_owned(), value(env, &format!("{name}_FILE"))?.to_owned())));
    let random = ["MYSQL_RANDOM_ROOT_PASSWORD", "MARIADB_RANDOM_ROOT_PASSWORD"].iter().any(|n| value(env, n).is_some());
    Hints { files: files.collect(), random }
}

/// Logins to try, in order. `files` are the contents of [`Hints::files`] by name, `generated` the password that was
/// printed.
pub fn logins(env: &[String], files: &[(String, String)], generated: Option<&str>) -> Vec<Login> {
    let secret = |name: &str| {
        let own = value(env, name).map(str::to_owned);
        // As `$(< file)` does: without the newlines at the end.
        own.or_else(|| {
            files.iter().find(|(n, _)| n == name).map(|(_, text)| text.trim_end_matches(['\n', '\r']).to_owned())
        })
    };
    let mut out: Vec<Login> = Vec::new();
    let mut add = |user: &str, password: String| {
        let login = Login { user: user.to_owned(), password, database: None };
        if !out.contains(&login) {
            out.push(login);
        }
    };
    for name in ["MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"] {
        if let Some(password) = secret(name) {
            add("root", password);
        }
    }
    if let Some(password) = generated {
        add("root", password.to_owned());
    }
    for family in ["MARIADB", "MYSQL"] {
        if let Some(user) = secret(&format!("{family}_USER")) {
            add(&user, secret(&format!("{family}_PASSWORD")).unwrap_or_default());
        }
    }
    // An image of the student's own, or one that was allowed to have none.
    add("root", String::new());
    out
}

/// The password that the image printed when it made one up.
pub fn generated(log: &str) -> Option<&str> {
    log.lines().find_map(|line| line.split_once("GENERATED ROOT PASSWORD: ")).map(|(_, password)| password.trim())
}

/// A variable that is set to something.
fn value<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[&str]) -> Vec<String> {
        pairs.iter().map(|p| (*p).to_owned()).collect()
    }

    fn shown(logins: &[Login]) -> Vec<String> {
        logins.iter().map(|l| format!("{}:{}", l.user, l.password)).collect()
    }

    #[test]
    fn root_comes_before_the_user_and_no_password_last() {
        let env = env(&["PATH=/bin", "MYSQL_ROOT_PASSWORD=r=1", "MYSQL_USER=ana", "MYSQL_PASSWORD=a"]);
        assert_eq!(shown(&logins(&env, &[], None)), ["root:r=1", "ana:a", "root:"]);
        assert_eq!(hints(&env), Hints::default());
    }

    #[test]
    fn secrets_in_files_lose_their_newline() {
        let env = env(&["MARIADB_ROOT_PASSWORD_FILE=/run/secrets/root"]);
        assert_eq!(hints(&env).files, [("MARIADB_ROOT_PASSWORD".to_owned(), "/run/secrets/root".to_owned())]);
        let files = [("MARIADB_ROOT_PASSWORD".to_owned(), "s3cret\n".to_owned())];
        assert_eq!(shown(&logins(&env, &files, None)), ["root:s3cret", "root:"]);
    }

    #[test]
    fn a_password_that_was_made_up_is_in_the_log() {
        let env = env(&["MYSQL_RANDOM_ROOT_PASSWORD=yes"]);
        assert!(hints(&env).random);
        let log = "a\n2024-01-01 00:00:00+00:00 [Note] [Entrypoint]: GENERATED ROOT PASSWORD: xY1=/z \nb\n";
        assert_eq!(generated(log), Some("xY1=/z"));
        assert_eq!(shown(&logins(&env, &[], generated(log))), ["root:xY1=/z", "root:"]);
    }

    #[test]
    fn an_empty_variable_is_none() {
        let env = env(&["MYSQL_ROOT_PASSWORD=", "MYSQL_ALLOW_EMPTY_PASSWORD=1"]);
        assert_eq!(shown(&logins(&env, &[], None)), ["root:"]);
    }
}
