//! What is raised or printed as a failure: in a log, at its end, on a page.

use super::*;

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
    assert_eq!(of(&[&many[..], &[("app/a0b/one.py", "x = 1\n")]].concat()), "", "the list was cut");
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
    let (open, parse) = (said("fopen(x): failed", 4), said("simplexml_load_string(): x", 5));
    assert_eq!(at(view.raised("web", &format!("{connect}{open}{parse}"))), "html/index.php:2");
    assert_eq!(at(view.raised("web", &format!("{open}{parse}"))), "html/index.php:4", "the first");
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
