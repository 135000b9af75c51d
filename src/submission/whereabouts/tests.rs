//! Each finder on what is really printed: a place that is found, and none where it is not sure.

use super::testing::{APP, COMPOSE, DOCKERFILE, Files};
use super::*;

mod raised;

fn at(look: Option<LookAt>) -> String {
    look.map(|look| format!("{}:{}", look.place.file, look.place.line)).unwrap_or_default()
}

fn all(looks: Vec<LookAt>) -> Vec<String> {
    looks.into_iter().map(|look| at(Some(look))).collect()
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
