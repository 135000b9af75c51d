//! Who says that something failed: an installed package or the installer, or the submission's own code.
//!
//! What was published since may break a package that was handed in years ago; then the message comes from a package or from
//! the installer. A mistake of one's own is as old as the delivery, and its age excuses nothing. Packages also say what is no
//! doing of theirs (a refused connection): only what names a version's doing counts.

use std::sync::LazyLock;

use regex::Regex;

/// Where a message comes from that may be time's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// pip could not install a package as it is now.
    Installer,
    /// An option of an installer, a package or a release's mirror that is no longer there: nothing brings it back.
    Gone,
    /// It was raised in an installed package.
    Package,
    /// It was raised in the submission's own code, about an installed package: a name that has gone, or never was. Or in a
    /// package, and may be about how it is used: what that day's packages say decides.
    AboutPackage,
}

/// What pip prints where what it installs has changed.
const INSTALLER: &[&str] = &[
    r"subprocess-exited-with-error|metadata-generation-failed|Failed building wheel|Could not build wheels",
    r"require(s)? a different (Python|python version)|Requires-Python",
];

/// What pip and apt print of what has gone.
const GONE: &[&str] = &[
    r"^\s*no such option: |: error: (unrecognized arguments|no such option)",
    r"E: The repository '.*' (does not have|no longer has) a Release file|Release file for \S+ is (expired|not valid)",
    r"(E: Failed to fetch|Err:\d+) .*404 +Not Found|404 +Not Found \[IP",
    r"E: (Unable to locate package|Package '\S+' has no installation candidate|Version '\S+' for)",
];

/// What Python says where a version is to blame, as it stands at the end of a traceback.
const RAISED: &[&str] = &[
    r"^(SyntaxError|IndentationError|TabError|ImportError|ModuleNotFoundError)\b",
    r"^AttributeError: (partially initialized )?module '",
    r"^AttributeError: '([A-MO-Z]\w*|N[a-np-z]\w*|[a-z]\w*)' object has no attribute '",
    r"^TypeError: .*(unexpected keyword argument|required positional argument|takes \d+ positional|takes from \d+)",
    r"^(pkg_resources|importlib\.metadata)\.\w+",
];

/// What packages also raise that is no version's doing: what a server answered, or did not, and files.
const NO_VERSION: &[&str] = &[
    r"^([\w.]*\.)?(Operational|Programming|Integrity|Interface|Data|Database|Internal)Error(:|$)",
    r"^([\w.]*\.)?\w*(Connection|Connect|Timeout|Timedout|TimedOut|Authentication|ServerSelection)\w*(:|$)",
    r"^([\w.]*\.)?(gaierror|herror|OSError|IOError|EOFError|PermissionError|FileNotFoundError|FileExistsError)(:|$)",
    r"^([\w.]*\.)?(IsADirectoryError|NotADirectoryError|BrokenPipeError|BlockingIOError|MemoryError|SSLError)(:|$)",
    r"^([\w.]*\.)?(ResponseError|TemplateNotFound|TemplateSyntaxError|SystemExit|KeyboardInterrupt)(:|$)",
    r"(?i)connection refused|access denied|using password|(wrong|invalid) password|password authentication",
    r"(?i)name or service not known|in name resolution|no such file or directory",
];

/// What one's own code says of a package that has no such name now.
const ABOUT: &[&str] = &[
    r"^ImportError: cannot import name '?\w+'?( from '[\w.]+' \(.*/(site|dist)-packages/.*\))?$",
    r"^(ImportError|ModuleNotFoundError): No module named '?\w+\.[\w.]+'?",
    r"^AttributeError: module '\w+' has no attribute '",
    r"^AttributeError: '([A-MO-Z]\w*|N[a-np-z]\w*)' object has no attribute '",
    r"^TypeError: .*unexpected keyword argument",
];

static INSTALLER_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(INSTALLER));
static GONE_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(GONE));
static RAISED_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(RAISED));
static NO_VERSION_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(NO_VERSION));
static ABOUT_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(ABOUT));
/// A build's step begins, or (BuildKit) the failed one's last words.
static STEP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(Step \d+/\d+\b|#\d+ \[[^\]]*\b\d+/\d+\] | > \[[^\]]*\b\d+/\d+\] )").expect("a constant pattern")
});
/// What BuildKit puts before a line.
static CLOCK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(#\d+ )?\d+\.\d+ ").expect("a constant pattern"));
static FRAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"^\s+File "([^"]+)", line \d+"#).expect("a constant"));
static EXCEPTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([A-Za-z_][\w.]*)(:.*)?$").expect("a constant pattern"));

fn compile(table: &[&str]) -> Vec<Regex> {
    table.iter().map(|p| Regex::new(p).expect("a constant pattern, compiled in a test")).collect()
}

/// What a failed build's log says last in the step that failed, where it comes from a package or an installer. What an
/// earlier step got over ended nothing.
pub fn of_build(log: &str) -> Option<(Origin, &str)> {
    let lines: Vec<&str> = log.lines().collect();
    let failed = lines.iter().rposition(|line| STEP.is_match(line))? + 1;
    last(lines[failed..].iter().map(|line| &line[CLOCK.find(line).map_or(0, |clock| clock.end())..]), true)
}

/// What a running service's log says last, where a package raised it. An app may print what an installer would: only
/// tracebacks count.
pub fn of_run(log: &str) -> Option<(Origin, &str)> {
    last(log.lines(), false)
}

/// The last message that ended something, where it comes from a package or, if there may be one, an installer.
fn last<'l>(lines: impl Iterator<Item = &'l str>, installs: bool) -> Option<(Origin, &'l str)> {
    let mut last = None;
    // Of the innermost call: the one before the message.
    let mut frame: Option<&str> = None;
    for line in lines.map(str::trim_end) {
        let matches = |table: &[Regex]| table.iter().any(|re| re.is_match(line));
        if let Some(found) = FRAME.captures(line).and_then(|c| c.get(1)) {
            // What imports things is in no file.
            frame = if found.as_str().starts_with("<frozen") { frame } else { Some(found.as_str()) };
        } else if installs && matches(&INSTALLER_RE) {
            last = Some((Origin::Installer, line));
        } else if installs && matches(&GONE_RE) {
            last = Some((Origin::Gone, line));
        } else if frame.is_some() && EXCEPTION.is_match(line) {
            let installed = frame.take().is_some_and(is_installed);
            let origin = match installed {
                true if matches(&RAISED_RE) => Some(Origin::Package),
                true => (!matches(&NO_VERSION_RE)).then_some(Origin::AboutPackage),
                false => matches(&ABOUT_RE).then_some(Origin::AboutPackage),
            };
            // One that is somebody else's doing came later: that is what ended it.
            last = origin.map(|origin| (origin, line));
        }
    }
    last
}

/// Whether a file of a traceback is an installed package's; a compiled one's is named as where it was compiled.
fn is_installed(file: &str) -> bool {
    let compiled = !file.starts_with('/') && (file.ends_with(".pyx") || file.ends_with(".pxd"));
    compiled || file.contains("/site-packages/") || file.contains("/dist-packages/")
}

/// Packages and versions that pip says it installed, by normalised name, in a build's log.
pub fn installed(log: &str) -> Vec<(String, String)> {
    let lines = log.lines().filter_map(|line| line.trim().strip_prefix("Successfully installed "));
    let pairs = lines.flat_map(str::split_whitespace).filter_map(|word| word.rsplit_once('-'));
    pairs.map(|(name, version)| (normal(name), version.to_owned())).collect()
}

/// A package's name as indexes compare it.
pub fn normal(name: &str) -> String {
    let parts: Vec<&str> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WERKZEUG: &str = "Traceback (most recent call last):
  File \"/app/app.py\", line 1, in <module>
    from flask import Flask
  File \"/usr/local/lib/python3.11/dist-packages/flask/__init__.py\", line 7, in <module>
    from .app import Flask as Flask
  File \"/usr/local/lib/python3.11/dist-packages/flask/app.py\", line 28, in <module>
    from . import cli
ImportError: cannot import name 'url_quote' from 'werkzeug.urls' (/usr/local/lib/python3.11/dist-packages/werkzeug/urls.py)
";

    fn own(message: &str) -> String {
        format!(
            "Traceback (most recent call last):\n  File \"/app/app.py\", line 3, in <module>\n    import x\n{message}\n"
        )
    }

    #[test]
    fn a_package_that_no_longer_imports_says_so_itself() {
        let (origin, line) = of_run(WERKZEUG).unwrap();
        assert_eq!(origin, Origin::Package);
        assert!(line.contains("url_quote"));
        // Whatever is printed after it.
        assert_eq!(of_run(&format!("{WERKZEUG}bye\n")).map(|(o, _)| o), Some(Origin::Package));
    }

    #[test]
    fn the_submissions_own_doing_is_not_a_packages() {
        for message in [
            "ModuleNotFoundError: No module named 'config'",
            "ImportError: cannot import name 'conectar' from 'datos' (/app/datos.py)",
            "FileNotFoundError: [Errno 2] No such file or directory: 'config.json'",
            "KeyError: 'DB_PASSWORD'",
            "AttributeError: 'NoneType' object has no attribute 'cursor'",
        ] {
            assert_eq!(of_run(&own(message)), None, "{message}");
            // After a package's message that something got over.
            assert_eq!(of_run(&format!("{WERKZEUG}\n{}", own(message))), None, "{message}");
        }
        let refused = "Traceback (most recent call last):\n  File \"/app/app.py\", line 3, in <module>\n\
            \x20 File \"/usr/local/lib/python3.11/dist-packages/pymysql/connections.py\", line 9, in connect\n\
            pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on '192.168.1.20'\")\n";
        assert_eq!(of_run(refused), None, "packages also report what is no doing of theirs");
        for line in
            ["ERROR: No matching distribution found for flaskk", "COPY failed: no source files were specified", ""]
        {
            assert_eq!((of_build(line), of_build(&format!("Step 2/4 : RUN x\n{line}\n"))), (None, None), "{line}");
        }
    }

    #[test]
    fn own_code_may_ask_a_package_for_what_has_gone() {
        for message in [
            "ImportError: cannot import name 'escape' from 'flask' (/usr/local/lib/python3.11/dist-packages/flask/__init__.py)",
            "ImportError: cannot import name 'escape'",
            "ModuleNotFoundError: No module named 'flask.ext'",
            "AttributeError: 'Flask' object has no attribute 'before_first_request'",
        ] {
            assert_eq!(of_run(&own(message)).map(|(o, _)| o), Some(Origin::AboutPackage), "{message}");
        }
    }

    fn raised(file: &str, message: &str) -> String {
        let own = "Traceback (most recent call last):\n  File \"/app/app.py\", line 3, in <module>\n    x()\n";
        format!("{own}  File \"{file}\", line 9, in f\n    y()\n    ^^^\n{message}\n\nThis typically means that: no\n")
    }

    #[test]
    fn what_a_package_refuses_may_be_its_versions_doing() {
        let package = "/usr/local/lib/python3.11/site-packages/x/y.py";
        for message in [
            "RuntimeError: Working outside of application context.",
            "sqlalchemy.exc.ArgumentError: Textual SQL expression 'select 1' should be explicitly declared as text('select 1')",
            "sqlalchemy.exc.ObjectNotExecutableError: Not an executable object: 'SELECT 1'",
            "TypeError: Descriptors cannot be created directly.",
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility",
            "RuntimeError: 'cryptography' package is required for sha256_password or caching_sha2_password auth methods",
            "mysql.connector.errors.NotSupportedError: Authentication plugin 'caching_sha2_password' is not supported",
        ] {
            assert_eq!(of_run(&raised(package, message)).map(|(o, _)| o), Some(Origin::AboutPackage), "{message}");
            assert_eq!(of_run(&raised("/app/datos.py", message)), None, "{message}");
        }
        let compiled = raised("pandas/_libs/interval.pyx", "ValueError: numpy.dtype size changed");
        assert_eq!(of_run(&compiled).map(|(o, _)| o), Some(Origin::AboutPackage));
    }

    #[test]
    fn what_a_server_answers_is_no_versions_doing() {
        let package = "/usr/local/lib/python3.11/site-packages/x/y.py";
        for message in [
            "pymysql.err.OperationalError: (1045, \"Access denied for user 'a'@'b' (using password: YES)\")",
            "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (2003, \"Can't connect to MySQL server\")",
            "mysql.connector.errors.ProgrammingError: 1146 (42S02): Table 'exam.aves' doesn't exist",
            "mysql.connector.errors.DatabaseError: 2003 (HY000): Can't connect to MySQL server on 'db:3306' (111)",
            "mysql.connector.errors.InterfaceError: 2003: Can't connect",
            "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
            "redis.exceptions.AuthenticationError: Authentication required.",
            "redis.exceptions.TimeoutError: Timeout connecting to server",
            "pymongo.errors.ServerSelectionTimeoutError: db:27017: [Errno 111] Connection refused",
            "ConnectionRefusedError: [Errno 111] Connection refused",
            "socket.gaierror: [Errno -2] Name or service not known",
            "FileNotFoundError: [Errno 2] Unable to load configuration file: '/app/ajustes.cfg'",
            "jinja2.exceptions.TemplateNotFound: index.html",
        ] {
            assert_eq!(of_run(&raised(package, message)), None, "{message}");
        }
    }

    #[test]
    fn installers_speak_for_themselves() {
        let of = |line: &str| {
            let log = format!("Step 3/5\n{line}\nThe command '/bin/sh -c x' returned a non-zero code: 100");
            of_build(&log).map(|(origin, _)| origin)
        };
        assert_eq!(of("error: subprocess-exited-with-error"), Some(Origin::Installer));
        for line in [
            "no such option: --process-dependency-links",
            "E: The repository 'http://deb.debian.org/debian stretch Release' no longer has a Release file.",
            "E: Failed to fetch http://deb.debian.org/debian/pool/x.deb  404  Not Found [IP: 151.101.2.132 80]",
            "E: Unable to locate package python-pip",
        ] {
            assert_eq!(of(line), Some(Origin::Gone), "{line}");
        }
        assert_eq!(
            of("E: Failed to fetch http://deb.debian.org/x  Temporary failure resolving 'deb.debian.org'"),
            None
        );
    }

    #[test]
    fn only_the_step_that_failed_counts() {
        let gone = "E: Failed to fetch http://deb.debian.org/debian/pool/x.deb  404  Not Found [IP: 151.101.2.132 80]";
        let over =
            format!("Step 2/4 : RUN apt-get update || true\n{gone}\nStep 3/4 : COPY nope /\nCOPY failed: no such\n");
        assert_eq!(of_build(&over), None, "an earlier step got over it");
        assert_eq!(of_build(&format!("Step 1/4 : FROM x\n{over}Step 4/4 : RUN x\n{gone}\n")).unwrap().0, Origin::Gone);
        let built =
            format!("#4 [2/3] RUN apt-get update || true\n#4 0.412 {gone}\n#4 DONE 0.5s\n#5 [3/3] RUN pip install x\n");
        let last = "#5 ERROR: process did not complete\n------\n > [3/3] RUN pip install x:\n";
        assert_eq!(of_build(&format!("{built}{last}")), None);
        let (origin, line) = of_build(&format!("{built}{last}1.204 no such option: --old\n------\n"))
            .map(|(o, l)| (o, l.to_owned()))
            .unwrap();
        assert_eq!((origin, line.as_str()), (Origin::Gone, "no such option: --old"));
    }

    #[test]
    fn what_an_app_prints_as_an_installer_would_excuses_nothing() {
        for line in [
            "E: Unable to locate package x",
            "no such option: --process-dependency-links",
            "error: subprocess-exited-with-error",
            "ERROR: Package 'x' requires a different Python: 3.11.2 not in '<3.8'",
            "Step 2/4 : RUN x",
        ] {
            let printed = format!("Step 2/4 : RUN x\n{line}\n");
            assert_eq!(of_run(&printed), None, "{line}");
            assert_eq!(of_run(&format!("{WERKZEUG}{printed}")).map(|(o, _)| o), Some(Origin::Package), "{line}");
        }
    }

    #[test]
    fn what_was_installed_is_read_from_the_builds_log() {
        let log =
            "Collecting flask\nSuccessfully installed Flask-2.0.1 Flask_SQLAlchemy-2.5.1 MarkupSafe-3.0.2\n ---> x\n";
        let expected = [("flask", "2.0.1"), ("flask-sqlalchemy", "2.5.1"), ("markupsafe", "3.0.2")];
        assert_eq!(installed(log), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(normal("zope.interface"), normal("Zope_Interface"));
    }
}
