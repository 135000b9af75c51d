//! Each finder on what is really printed: a place that is found, and none where it is not sure.

use super::testing::{APP, COMPOSE, DOCKERFILE, Files};
use super::*;

fn at(look: Option<LookAt>) -> String {
    look.map(|look| format!("{}:{}", look.place.file, look.place.line)).unwrap_or_default()
}

fn all(looks: Vec<LookAt>) -> Vec<String> {
    looks.into_iter().map(|look| at(Some(look))).collect()
}

const INSTALLED: &str = "  File \"/usr/local/lib/python3.6/site-packages/pymysql/connections.py\", line 630, in connect
    raise exc
";

#[test]
fn the_innermost_line_of_ones_own_code_in_the_newest_traceback() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    let older = "Traceback (most recent call last):\n  File \"/app/app.py\", line 1, in <module>\n    import pymysql\nImportError: x\n";
    let log = format!(
        "{older} * Running on http://0.0.0.0:5000/\n[2026-11-24 20:43:05] ERROR in app: Exception on / [GET]
Traceback (most recent call last):
  File \"/usr/local/lib/python3.6/site-packages/flask/app.py\", line 2073, in wsgi_app
    response = self.full_dispatch_request()
  File \"/app/app.py\", line 12, in leer
    return pymysql.connect(
{INSTALLED}pymysql.err.OperationalError: (1045, \"Access denied for user 'root'@'172.18.0.3'\")
172.18.0.1 - - \"GET / HTTP/1.1\" 500 -\n"
    );
    let look = view.raised("app", &log).unwrap();
    assert_eq!(look.what.en, "the error comes from here: `return pymysql.connect(`");
    assert_eq!(at(Some(look)), "app/app.py:12");
    // As Python before 3.9 names the file that it was started with.
    assert_eq!(at(view.raised("app", &log.replace("/app/app.py", "app.py"))), "app/app.py:12");
    // A copied folder, and a file that is only found by its name.
    let frame = |path: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"{path}\", line 2, in f\n    return 1 / 0\nZeroDivisionError: division by zero\n"
        )
    };
    assert_eq!(at(view.raised("app", &frame("/app/lib/datos.py"))), "app/lib/datos.py:2");
    assert_eq!(at(view.raised("app", &frame("/srv/other/datos.py"))), "app/lib/datos.py:2");
}

#[test]
fn what_is_not_surely_ones_own_line_is_none() {
    let files = Files::usual(&[("app/a/util.py", "x = 1\n"), ("app/b/util.py", "x = 1\n")]);
    let view = View::of(&files.submission);
    let of = |path: &str, line: u32, code: &str| {
        at(view.raised(
            "app",
            &format!(
                "Traceback (most recent call last):\n  File \"{path}\", line {line}, in f\n    {code}\nError: x\n"
            ),
        ))
    };
    assert_eq!(of("/app/app.py", 12, "return pymysql.connect("), "app/app.py:12");
    assert_eq!(of("/app/app.py", 12, "return MySQLdb.connect("), "", "it says something else there");
    assert_eq!(of("/app/app.py", 999, "x"), "", "no such line");
    assert_eq!(of("/srv/util.py", 1, "x = 1"), "", "two files of that name");
    assert_eq!(of("/srv/a/util.py", 1, "x = 1"), "app/a/util.py:1", "and one in such a folder");
    assert_eq!(of("/usr/local/lib/python3.6/site-packages/app.py", 1, "import pymysql"), "", "a package's");
    // An older traceback is another failure; what was handled on the way is not.
    let own = "Traceback (most recent call last):\n  File \"/app/app.py\", line 1, in <module>\n    import pymysql\nKeyError: 'x'\n";
    let package = format!("Traceback (most recent call last):\n{INSTALLED}OSError: x\n");
    assert_eq!(at(view.raised("app", &format!("{own}listening\n{package}"))), "");
    let chained = format!("{own}\nDuring handling of the above exception, another exception occurred:\n\n{package}");
    assert_eq!(at(view.raised("app", &chained)), "app/app.py:1");
    assert_eq!(at(view.raised("app", "all is well\n")), "");
    assert_eq!(at(view.raised("nobody", own)), "");
}

#[test]
fn a_module_that_does_not_parse_names_its_line_alone() {
    let files = Files::usual(&[("app/app.py", "x = (\n")]);
    let log = "  File \"app.py\", line 1\n    x = (\n        ^\nSyntaxError: '(' was never closed\n";
    assert_eq!(at(View::of(&files.submission).raised("app", log)), "app/app.py:1");
}

#[test]
fn php_and_node_name_their_lines_too() {
    let compose = "services:\n  web:\n    image: php:7.4-apache\n    volumes:\n      - ./html:/var/www/html\n  api:\n    build: api\n";
    let php = "<?php\n\n$c = new mysqli('bd', 'root');\ninclude 'x.php';\n";
    let files = Files::of(&[
        ("docker-compose.yml", compose),
        ("html/index.php", php),
        ("html/lib/con.php", php),
        ("api/Dockerfile", "FROM node:12\nWORKDIR /usr/src/app\nCOPY . .\nCMD [\"node\", \"server.js\"]\n"),
        ("api/server.js", "const x = 1;\nthrow new Error('x');\n"),
    ]);
    let view = View::of(&files.submission);
    for (log, place) in [
        (
            "[php7:warn] [pid 17] PHP Warning:  mysqli_connect(): (HY000/2002): Connection refused in /var/www/html/index.php on line 3",
            "html/index.php:3",
        ),
        (
            "PHP Fatal error:  Uncaught mysqli_sql_exception: No such file or directory in /var/www/html/lib/con.php:3\\nStack trace:\\n#0 /var/www/html/lib/con.php(3): mysqli->__construct()\\n#1 {main}\\n  thrown in /var/www/html/lib/con.php on line 3",
            "html/lib/con.php:3",
        ),
        (
            "PHP Fatal error:  Uncaught Error: x in /var/www/html/vendor/a/b.php:3\nStack trace:\n#0 /var/www/html/index.php(4): f()\n#1 {main}\n  thrown in /var/www/html/vendor/a/b.php on line 3",
            "html/index.php:4",
        ),
        ("PHP Parse error:  syntax error, unexpected end of file in /var/www/html/index.php on line 99", ""),
        ("PHP Warning:  x in /var/www/html/made-later.php on line 1", ""),
        ("Warning: in a file /var/www/html/index.php something", ""),
    ] {
        assert_eq!(at(view.raised("web", log)), place, "{log}");
    }
    let page = "HTTP/1.1 200\n\n<br />\n<b>Warning</b>:  mysqli_connect(): (HY000/2002): Connection refused in <b>/var/www/html/index.php</b> on line <b>3</b><br />";
    assert_eq!(at(view.raised_on_page("web", page)), "html/index.php:3");
    let node = "/usr/src/app/server.js:2\nthrow new Error('x');\n^\n\nError: x\n    at Object.<anonymous> (/usr/src/app/server.js:2:7)\n    at Module._compile (node:internal/modules/cjs/loader:1105:14)\n";
    assert_eq!(at(view.raised("api", node)), "api/server.js:2");
    let package = node.replace("/usr/src/app/server.js:2:7", "/usr/src/app/node_modules/x/server.js:2:7");
    assert_eq!(at(view.raised("api", &package)), "");
}

#[test]
fn a_failed_build_names_its_instruction() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    let of = |log: &str| at(view.failed_instruction("app", log));
    let classic = "Step 4/8 : COPY requirements.txt .\nCOPY failed: file not found in build context or excluded by .dockerignore\n";
    assert_eq!(of(classic), "app/Dockerfile:5");
    // Lines that were joined, as either builder prints them.
    assert_eq!(
        of("Step 5/8 : RUN pip install     -r requirements.txt\n ---> Running in 1\nERROR: x\n"),
        "app/Dockerfile:6"
    );
    let buildkit = " > [4/6] RUN pip install     -r requirements.txt:\n1.2 ERROR: x\n------\nfailed to solve: process did not complete\n";
    assert_eq!(of(buildkit), "app/Dockerfile:6");
    assert_eq!(of("------\nDockerfile:8\n--------------------\n   8 | >>> COPY app.py .\n"), "app/Dockerfile:8");
    assert_eq!(of("Dockerfile parse error line 9: unknown instruction: COPYY"), "app/Dockerfile:9");
    // What was put under it is no line of the student's.
    assert_eq!(of("Step 2/9 : ENV UV_INDEX=x\nerror\n"), "");
    assert_eq!(of("Dockerfile parse error line 4: unknown instruction: X"), "", "nothing begins there");
    assert_eq!(of(""), "");
    let twice = Files::usual(&[("app/Dockerfile", "FROM x\nRUN make\nRUN make\n")]);
    let view = View::of(&twice.submission);
    assert_eq!(at(view.failed_instruction("app", "Step 3/3 : RUN make\n")), "app/Dockerfile:3");
    assert_eq!(at(view.failed_instruction("app", " > [3/3] RUN make:\n")), "", "which of both is not said");
}

#[test]
fn a_requirement_that_does_not_install_is_a_line_of_its_file() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    let of = |log: &str| at(view.requirement("app", log));
    assert_eq!(of("ERROR: No matching distribution found for pymysql==0.9.3"), "app/requirements.txt:2");
    assert_eq!(of("ERROR: Failed building wheel for Flask"), "app/requirements.txt:1");
    assert_eq!(of("ERROR: No matching distribution found for markupsafe>=2"), "", "of somebody else's choice");
    assert_eq!(of("COPY failed: x"), "");
}

#[test]
fn what_it_stands_on_and_starts_with() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    assert_eq!(at(view.base("app")), "app/Dockerfile:1");
    assert_eq!(at(view.start_command("app")), "app/Dockerfile:10");
    assert_eq!(at(view.base("db")), "");
    let staged = Files::usual(&[("app/Dockerfile", &format!("FROM node AS js\n{DOCKERFILE}") as &str)]);
    assert_eq!(at(View::of(&staged.submission).base("app")), "", "one of two");
    let commanded = COMPOSE.replace("    mem_limit: 10m\n", "    command: pyton app.py\n");
    let commanded = Files::usual(&[("docker-compose.yml", &commanded as &str)]);
    assert_eq!(at(View::of(&commanded.submission).start_command("app")), "docker-compose.yml:9");
}

#[test]
fn a_host_is_found_where_it_is_written() {
    let files = Files::usual(&[
        (".env", "OTHER=192.168.1.20\n"),
        ("app/node_modules/x/index.js", "host='192.168.1.20'"),
        ("app/README.md", "\"192.168.1.20\""),
        ("app/settings.ini", "[db]\nhost = bd\n"),
    ]);
    let view = View::of(&files.submission);
    let of = |host: &str| all(view.written("app", &[host.to_owned()]));
    assert_eq!(of("192.168.1.20"), ["app/app.py:13", ".env:1"], "not the comment, nor what others wrote");
    assert_eq!(of("bd"), ["docker-compose.yml:6", "app/settings.ini:2"]);
    assert_eq!(of("mysql"), [""; 0], "an image is no host");
    assert_eq!(of("192.168.1.2"), [""; 0], "a part of another");
    assert_eq!(all(view.written("db", &["bd".to_owned()])), [""; 0], "the other service's");
}

#[test]
fn last_words_are_found_where_only_one_line_says_them() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    assert_eq!(at(view.said_by("app", "falta la variable CLAVE\n")), "app/app.py:17");
    assert_eq!(at(view.said_by("app", "falta la variable")), "", "not whole");
    assert_eq!(at(view.said_by("app", "x")), "");
    let twice = Files::usual(&[("app/app.py", &format!("{APP}    print('falta la variable CLAVE')\n") as &str)]);
    assert_eq!(at(View::of(&twice.submission).said_by("app", "falta la variable CLAVE")), "", "which of both?");
}

#[test]
fn rows_in_the_code_are_found_by_the_scripts_values() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    let values = view.values(&view.scripts("db"));
    assert_eq!(values, ["Barranquero", "Gallito de roca"]);
    assert_eq!(at(view.constants("app", &values)), "app/app.py:6");
    assert_eq!(at(view.constants("app", &values[..1])), "", "one value alone may be anything");
    assert_eq!(at(view.only_code("app")), "", "it has two files");
    let compose = "services:\n  web:\n    build: .\n";
    let one =
        Files::of(&[("docker-compose.yml", compose), ("Dockerfile", "FROM x\n"), ("src/main.go", "x"), ("a.ini", "x")]);
    assert_eq!(at(View::of(&one.submission).only_code("web")), "src/main.go:1");
}

#[test]
fn sql_is_found_by_what_it_makes_and_where_it_was_refused() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    let scripts = view.scripts("db");
    assert_eq!(at(view.creates(&scripts, "reserva.aves")), "db/init.sql:4", "not in a comment");
    assert_eq!(at(view.fills(&scripts, "reserva.aves")), "db/init.sql:5");
    assert_eq!(at(view.creates(&scripts, "ave")), "");
    let ran = "/usr/local/bin/docker-entrypoint.sh: running /docker-entrypoint-initdb.d/init.sql\n";
    let refused = "ERROR 1064 (42000) at line 4: You have an error in your SQL syntax\n";
    assert_eq!(at(view.refused_statement(&scripts, &format!("{ran}{refused}"))), "db/init.sql:4");
    assert_eq!(at(view.refused_statement(&scripts, refused)), "db/init.sql:4", "the only one");
    assert_eq!(at(view.refused_statement(&scripts, ran)), "");
    let elsewhere = ran.replace("init.sql", "of-the-image.sql");
    assert_eq!(at(view.refused_statement(&scripts, &format!("{elsewhere}{refused}"))), "");
    assert_eq!(at(view.refused_statement(&scripts, &format!("{ran}{}", refused.replace("line 4", "line 40")))), "");
}

#[test]
fn a_refused_file_leads_to_the_line_that_the_tool_means() {
    let of = |compose: &str, message: &str| {
        let files = Files::usual(&[("docker-compose.yml", compose)]);
        all(View::of(&files.submission).refused_by_the_tool(message))
    };
    let mark =
        "yaml.scanner.ScannerError: mapping values are not allowed here in \"./docker-compose.yml\", line 4, column 10";
    assert_eq!(of(COMPOSE, mark), ["docker-compose.yml:4"]);
    let two = "yaml.parser.ParserError: while parsing a block mapping in \"./docker-compose.yml\", line 3, column 3 expected <block end>, but found '-' in \"./docker-compose.yml\", line 8, column 7";
    assert_eq!(of(COMPOSE, two), ["docker-compose.yml:8"], "where it could not go on");
    assert_eq!(of(COMPOSE, "x in \"/etc/passwd\", line 1, column 1"), [""; 0]);
    let misspelt = COMPOSE.replace("    mem_limit: 10m\n", "    annotatons: {a: b}\n");
    let said = "The Compose file './docker-compose.yml' is invalid because: Unsupported config option for services.app: 'annotatons'";
    assert_eq!(of(&misspelt, said), ["docker-compose.yml:9"]);
    let path = "The Compose file is invalid because: services.app.ports contains an invalid type, it should be a list";
    assert_eq!(of(COMPOSE, path), ["docker-compose.yml:7"]);
    assert_eq!(of(COMPOSE, "Service 'db' depends on service 'x' which is undefined."), ["docker-compose.yml:10"]);
    let volume =
        "Named volume \"data:/x:rw\" is used in service \"db\" but no declaration was found in the volumes section.";
    assert_eq!(of(COMPOSE, volume), ["docker-compose.yml:12"]);
    assert_eq!(of(COMPOSE, "it could not be read"), [""; 0]);
    assert_eq!(
        of("services:\n  app:\n\tbuild: .\n", "it could not be read"),
        ["docker-compose.yml:3"],
        "our own reader's"
    );
    let top = format!("servces: {{}}\n{COMPOSE}");
    assert_eq!(of(&top, "'servces' does not match any of the regexes: '^x-'"), ["docker-compose.yml:1"]);
}

#[test]
fn keys_and_services_have_their_lines_and_what_is_extended_has_none() {
    let files = Files::usual(&[]);
    let view = View::of(&files.submission);
    assert_eq!(at(view.at_service("db")), "docker-compose.yml:10");
    assert_eq!(at(view.at_key("app", &["ports"])), "docker-compose.yml:7");
    assert_eq!(at(view.at_key_or_service("db", &["ports"])), "docker-compose.yml:10");
    assert_eq!(at(view.at_limit("app", true)), "docker-compose.yml:9");
    assert_eq!(at(view.at_limit("app", false)), "docker-compose.yml:3");
    assert_eq!(at(view.at_service("x")), "");
    let compose = "services:\n  app:\n    extends: {file: base.yml, service: app}\n";
    let base = "services:\n  other:\n    image: x\n  app:\n    image: y\n    ports: [\"80:80\"]\n";
    let files = Files::of(&[("docker-compose.yml", compose), ("base.yml", base)]);
    let view = View::of(&files.submission);
    assert_eq!(at(view.at_key("app", &["ports"])), "", "its line is another file's");
    assert_eq!(at(view.at_key_or_service("app", &["ports"])), "docker-compose.yml:2");
}
