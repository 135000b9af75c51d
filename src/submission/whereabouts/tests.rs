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
fn a_name_alone_is_no_file_without_the_line_that_was_printed() {
    let compose = "services:\n  web:\n    build: .\n";
    let docker = "FROM node:12\nWORKDIR /app\nCOPY package.json .\nRUN make dist\nCMD [\"node\", \"dist/server.js\"]\n";
    let files = Files::of(&[
        ("docker-compose.yml", compose),
        ("Dockerfile", docker),
        ("src/server.js", "a();\nb();\n"),
        ("src/index.php", "<?php\nf();\n"),
    ]);
    let view = View::of(&files.submission);
    let built = "Error: x\n    at f (/app/dist/server.js:2:7)\n";
    assert_eq!(at(view.raised("web", built)), "", "what was built, or came with the image, has other lines");
    assert_eq!(at(view.raised("web", "PHP Warning:  x() failed in /var/www/html/index.php on line 2\n")), "");
}

#[test]
fn of_many_files_none_is_the_only_one() {
    let mut many: Vec<(String, String)> = (0..401).map(|n| (format!("app/a{n}.py"), "x = 1\n".to_owned())).collect();
    many.push(("app/zz/one.py".to_owned(), "x = 1\n".to_owned()));
    let many: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let trace = "Traceback (most recent call last):\n  File \"/srv/one.py\", line 1, in f\n    x = 1\nError: x\n";
    let of = |files: &[(&str, &str)]| at(View::of(&Files::usual(files).submission).raised("app", trace));
    assert_eq!(of(&many[401..]), "app/zz/one.py:1");
    assert_eq!(of(&[&many[..], &[("app/b/one.py", "x = 1\n")]].concat()), "", "the list was cut");
}

#[test]
fn a_recursion_is_read_so_far_only() {
    let files = Files::usual(&[]);
    let deep = "  File \"/usr/lib/x.py\", line 1, in f\n    f()\n".repeat(60);
    let own = "  File \"/app/app.py\", line 1, in f\n    import pymysql\n";
    let log = |frames: &str| format!("Traceback (most recent call last):\n{frames}RecursionError: x\n");
    let of = |log: String| at(View::of(&files.submission).raised("app", &log));
    assert_eq!(of(log(&format!("{deep}{own}"))), "app/app.py:1");
    assert_eq!(of(log(&format!("{own}{deep}"))), "");
}

#[test]
fn what_it_ended_for_is_the_last_thing_that_it_printed() {
    let files = Files::usual(&[]);
    let of = |log: &str| at(View::of(&files.submission).raised_at_end("app", log));
    let trace = "Traceback (most recent call last):\n  File \"/app/app.py\", line 1, in <module>\n    import pymysql\nImportError: x\n";
    assert_eq!(of(trace), "app/app.py:1");
    assert_eq!(of(&format!("{trace}\n")), "app/app.py:1");
    assert_eq!(of(&format!("{trace} * Running on http://0.0.0.0:5000/\n172.18.0.1 - - GET /\n")), "", "it went on");
    assert_eq!(of("bye\n"), "");
}

#[test]
fn of_phps_messages_the_one_that_the_others_come_of_counts() {
    let compose = "services:\n  web:\n    image: php:7.4-apache\n    volumes:\n      - ./html:/var/www/html\n";
    let code = "<?php\n$c = new mysqli('bd');\n$c->set_charset('utf8');\n$q = $c->query('x');\nforeach ($q as $r) {}\n";
    let files = Files::of(&[("docker-compose.yml", compose), ("html/index.php", code)]);
    let view = View::of(&files.submission);
    let said = |what: &str, line: u32| format!("PHP Warning:  {what} in /var/www/html/index.php on line {line}\n");
    let connect = said("mysqli::__construct(): (HY000/1045): Access denied for user 'a'@'b'", 2);
    let after = [
        said("mysqli::set_charset(): Couldn't fetch mysqli", 3),
        said("mysqli::query(): Couldn't fetch mysqli", 4),
        said("Invalid argument supplied for foreach()", 5),
    ];
    let cascade = format!("{connect}{}", after.concat());
    assert_eq!(at(view.raised("web", &cascade)), "html/index.php:2");
    assert_eq!(at(view.raised("web", &format!("{}{cascade}", said("session_start(): x", 1)))), "html/index.php:2");
    let request = "172.18.0.1 - - \"GET / HTTP/1.1\" 200\n";
    assert_eq!(
        at(view.raised("web", &format!("{cascade}{request}{}", said("fopen(x): failed", 4)))),
        "html/index.php:4"
    );
    assert_eq!(at(view.raised("web", &after.concat())), "", "each of these has its cause before it");
    let page = format!("HTTP/1.1 200\n\n<h1>Libros</h1>\n<br />{connect}<br />\n<p>x</p>\n{}", after.concat());
    assert_eq!(at(view.raised_on_page("web", &page)), "html/index.php:2", "all of a page is of one request");
    assert_eq!(at(view.raised_on_page("web", &format!("HTTP/1.1 200\n\n{}", after[2]))), "");
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
    // What a step prints itself.
    assert_eq!(
        of("Step 5/8 : RUN pip install     -r requirements.txt\nDockerfile:8: a linter's word\nERROR\n"),
        "app/Dockerfile:6"
    );
    let printed = buildkit.replace("ERROR: x", "ERROR: x\nDockerfile:8");
    assert_eq!(of(&printed), "app/Dockerfile:6");
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
    let compose = "services:\n  app:\n    build: .\n  other:\n    build: ./other\n";
    let files = Files::of(&[
        ("docker-compose.yml", compose),
        ("Dockerfile", "FROM x\n"),
        ("requirements.txt", "Flask\n"),
        ("other/Dockerfile", "FROM x\n"),
        ("other/requirements.txt", "pymysql\n"),
    ]);
    let of = |service: &str| {
        at(View::of(&files.submission).requirement(service, "ERROR: Failed building wheel for pymysql"))
    };
    assert_eq!(of("app"), "", "another service's");
    assert_eq!(of("other"), "other/requirements.txt:1");
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
    let of = |host: &str| all(view.written("app", &[host.to_owned()], &[]));
    assert_eq!(of("192.168.1.20"), ["app/app.py:13", ".env:1"], "not the comment, nor what others wrote");
    assert_eq!(of("bd"), ["docker-compose.yml:6", "app/settings.ini:2"]);
    assert_eq!(of("mysql"), [""; 0], "an image is no host");
    assert_eq!(of("192.168.1.2"), [""; 0], "a part of another");
    assert_eq!(all(view.written("db", &["bd".to_owned()], &[])), [""; 0], "the other service's");
}

#[test]
fn ones_own_machine_is_dialled_where_only_one_line_says_so() {
    let app = "const c = mysql.createConnection({\n  host: 'localhost',\n});\nconsole.log('at http://localhost:5000');\nfetch('http://localhost:5000/x');\napp.listen(\n  5000,\n  'localhost',\n);\n";
    let of = |more: &str| {
        let files = Files::usual(&[("app/app.py", "x = 1\n"), ("app/app.js", &format!("{app}{more}") as &str)]);
        all(View::of(&files.submission).written("app", &["127.0.0.1".to_owned(), "localhost".to_owned()], &[3306]))
    };
    assert_eq!(of(""), ["app/app.js:2"]);
    assert_eq!(of("const other = { host: '127.0.0.1:6379' };\n"), ["app/app.js:2"], "of another port");
    assert_eq!(of("const other = { host: '127.0.0.1' };\n"), [""; 0], "which of both?");
}

#[test]
fn an_app_that_lets_only_itself_in_says_so_in_one_line() {
    let of = |code: &str| at(View::of(&Files::usual(&[("app/app.py", code)]).submission).listens_to_itself("app"));
    assert_eq!(of("c = connect(host='127.0.0.1')\napp.run(host=\"127.0.0.1\", port=5000)\n"), "app/app.py:2");
    assert_eq!(of("app.run(\n    host=\"127.0.0.1\",\n    port=5000,\n)\n"), "app/app.py:2");
    assert_eq!(of("app.run(host=\"0.0.0.0\")\nc = connect(\n  host='127.0.0.1')\n"), "");
    assert_eq!(of("app.run(host='127.0.0.1')\nother.run(host='127.0.0.1')\n"), "", "which of both?");
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
    assert_eq!(at(view.creates(&view.read(&scripts), "reserva.aves")), "db/init.sql:4", "not in a comment");
    assert_eq!(at(view.fills(&view.read(&scripts), "reserva.aves")), "db/init.sql:5");
    assert_eq!(at(view.creates(&view.read(&scripts), "ave")), "");
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
fn a_link_leads_to_no_line_of_the_machine() {
    let secret = tempfile::tempdir().unwrap();
    let theirs = "CREATE TABLE aves (clave TEXT);\nINSERT INTO aves VALUES ('la clave de la máquina');\n";
    std::fs::write(secret.path().join("x.sql"), theirs).unwrap();
    let files = Files::usual(&[]);
    let script = files.submission.root.join("db/init.sql");
    std::fs::remove_file(&script).unwrap();
    std::os::unix::fs::symlink(secret.path().join("x.sql"), &script).unwrap();
    let view = View::of(&files.submission);
    let scripts = view.scripts("db");
    assert_eq!(scripts.given.len(), 1, "it is given, as the engine would");
    assert_eq!(at(view.refused_statement(&scripts, "ERROR 1064 (42000) at line 2: x\n")), "");
    assert_eq!(at(view.creates(&view.read(&scripts), "aves")), "");
    assert!(view.values(&scripts).is_empty());
}

#[test]
fn values_are_few_however_many_scripts_there_are() {
    let script = |n: usize| {
        let rows: Vec<String> = (0..150).map(|row| format!("('fila {n} número {row}')")).collect();
        format!("INSERT INTO aves VALUES {};\n", rows.join(","))
    };
    let (one, two) = (script(1), script(2));
    let files = Files::usual(&[("db/init.sql", &one as &str), ("db/more.sql", &two as &str)]);
    let view = View::of(&files.submission);
    assert_eq!(view.values(&view.scripts("db")).len(), 200);
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
    let base = "services:\n  other:\n    image: x\n  app:\n    image: y\n    ports: [\"80:80\"]\n    mem_limit: 10m\n";
    // Also where the line of that number has the same key here.
    let longer = format!("{compose}  db:\n    image: x\n    ports: [\"3306:3306\"]\n    mem_limit: 10m\n");
    for compose in [compose, &longer] {
        let files = Files::of(&[("docker-compose.yml", compose), ("base.yml", base)]);
        let view = View::of(&files.submission);
        assert_eq!(at(view.at_key("app", &["ports"])), "", "its line is another file's");
        assert_eq!(at(view.at_key_or_service("app", &["ports"])), "docker-compose.yml:2");
        assert_eq!(at(view.at_limit("app", true)), "docker-compose.yml:2");
        let text = Text::same("x");
        let app = view.service("app").unwrap();
        assert_eq!(at(view.noted(&app.keys["ports"], "ports", Some("app"), text.clone())), "");
        assert_eq!(at(view.noted(&app.at, "nothing", Some("app"), text)), "", "the line does not say it");
    }
}
