//! Probes against a real database and a real page, on the host's engine.

use serde_json::json;

use super::stack::{ROOT, Recipe, World, fact};

const BIRDS: &str = "SET NAMES utf8mb4;\nCREATE DATABASE reserva CHARACTER SET utf8mb4;\nUSE reserva;\n\
    CREATE TABLE aves (id INT AUTO_INCREMENT PRIMARY KEY, nombre VARCHAR(60) NOT NULL, lugar VARCHAR(60) NOT NULL,\n\
    visto TIMESTAMP DEFAULT CURRENT_TIMESTAMP);\n\
    INSERT INTO aves (nombre, lugar) VALUES ('Barranquero coronado', 'Quebrada El Cañizo'), ('Cóndor de los Andes', 'Páramo de Las Hermosas');\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_reached_by_name_and_compared_with_its_scripts() {
    let recipe = Recipe {
        sql: &[("sql/init.sql", BIRDS)],
        env: &[ROOT],
        pages: &[("www/index.php", "<?php echo 'It works!';")],
        ..Recipe::default()
    };
    let Some(world) = World::up("compare", recipe).await else { return };

    let seen = world.look("tcp", "{host: \"{db.names}\", port: 3306, from: {inside: app}}").await.unwrap();
    assert_eq!(fact(&seen, "connected"), json!(true), "{seen:?}");
    assert_eq!(fact(&seen, "greeted_by"), json!("db"));
    assert_eq!(fact(&seen, "name"), json!(format!("{}-db", world.stack.project)));
    assert_eq!(fact(&seen, "address"), json!("not_loopback"));
    // Nothing listens there, and nobody has that name.
    let seen = world.look("tcp", "{host: \"{db.names}\", port: 32000, from: {inside: app}}").await.unwrap();
    assert_eq!(fact(&seen, "refused"), json!("connection refused"), "{seen:?}");
    let seen = world.look("tcp", "{host: localhost, port: 3306, from: {inside: app}}").await.unwrap();
    assert_eq!((fact(&seen, "connected"), fact(&seen, "greeted_by")), (json!(false), json!("nobody")));
    let seen = world.look("tcp", "{role: app, port: 5000, from: lab}").await.unwrap();
    assert_eq!(fact(&seen, "connected"), json!(false));
    assert!(seen.explanation.unwrap().en.contains("not 5000"));
    // Its published port, wherever it is, leads to the same server.
    let seen = world.look("tcp", "{role: db, from: lab}").await.unwrap();
    assert_eq!((fact(&seen, "connected"), fact(&seen, "greeted_by")), (json!(true), json!("db")), "{seen:?}");

    let seen = world.look("dns", "{name: \"{db.names}\", from: {inside: app}}").await.unwrap();
    assert_eq!(fact(&seen, "resolves"), json!(true), "{seen:?}");
    let seen = world.look("http", "{url: \"http://{app.published}/\"}").await.unwrap();
    assert_eq!((fact(&seen, "status"), fact(&seen, "body")), (json!(200), json!("It works!")));

    let seen =
        world.look("mysql", "{role: db, query: \"SELECT nombre, id FROM reserva.aves ORDER BY id\"}").await.unwrap();
    assert_eq!(fact(&seen, "rows"), json!(["Barranquero coronado | 1", "Cóndor de los Andes | 2"]), "{seen:?}");
    assert_eq!(fact(&seen, "columns"), json!(["nombre", "id"]));
    // A probe looks; it cannot be made to write.
    let seen = world.look("mysql", "{role: db, query: \"DELETE FROM reserva.aves\"}").await.unwrap();
    assert!(seen.explanation.as_ref().unwrap().en.contains("READ ONLY"), "{seen:?}");

    let seen = world.look("mysql", "{role: db, compare_with: submission_sql}").await.unwrap();
    assert_eq!((fact(&seen, "missing_tables"), fact(&seen, "missing_rows")), (json!([]), json!([])), "{seen:?}");
    world.sql(&["DELETE FROM reserva.aves WHERE id = 2"]).await;
    let seen = world.look("mysql", "{role: db, compare_with: submission_sql}").await.unwrap();
    let missing = fact(&seen, "missing_rows");
    assert!(missing[0].as_str().unwrap().starts_with("reserva.aves: (2, Cóndor de los Andes,"), "{missing}");

    let left = world.stack.home.engine.container(&format!("imparcial-scratch-{}", world.stack.project)).await;
    assert!(left.unwrap_err().is_missing(), "the scratch server was not removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_nobody_gives_to_the_database_are_missed() {
    let recipe = Recipe { sql: &[("database/tablas.sql", BIRDS)], env: &[ROOT], forgotten: true, ..Recipe::default() };
    let Some(world) = World::up("forgotten", recipe).await else { return };
    let seen = world.look("mysql", "{role: db, compare_with: submission_sql}").await.unwrap();
    assert_eq!(fact(&seen, "missing_tables"), json!(["reserva.aves"]), "{seen:?}");
    assert_eq!(fact(&seen, "rows_present"), json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_the_stand_in_does_not_know_is_nobodys_fault() {
    let sql = "CREATE DATABASE a; USE a; CREATE TABLE t (x INT) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;";
    let recipe = Recipe { sql: &[("database/dump.sql", sql)], env: &[ROOT], forgotten: true, ..Recipe::default() };
    let Some(world) = World::up("dialect", recipe).await else { return };
    let error = world.look("mysql", "{role: db, compare_with: submission_sql}").await.unwrap_err();
    assert_eq!(error.reason, imparcial::notice::Reason::StandIn);
    assert!(error.text.en.contains("utf8mb4_0900_ai_ci"), "{}", error.text.en);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sql_the_rows_that_are_there_count() {
    let env = [("MYSQL_ROOT_PASSWORD_FILE", "/run/secrets/root"), ("MYSQL_DATABASE", "tienda")];
    let recipe =
        Recipe { sql: &[("secrets/root", "de-un-archivo\n")], env: &env, forgotten: true, ..Recipe::default() };
    let Some(world) = World::up("nosql", recipe).await else { return };
    let seen = world.look("mysql", "{role: db, compare_with: submission_sql}").await.unwrap();
    assert_eq!(fact(&seen, "missing_tables"), json!(["a table of its own"]), "{seen:?}");
    world.sql(&["CREATE TABLE tienda.cosas (a TEXT)", "INSERT INTO tienda.cosas VALUES ('una silla azul')"]).await;
    let seen = world.look("mysql", "{role: db, compare_with: submission_sql}").await.unwrap();
    assert_eq!((fact(&seen, "missing_tables"), fact(&seen, "missing_rows")), (json!([]), json!([])), "{seen:?}");
    assert_eq!(fact(&seen, "rows_present"), json!(true));
}

/// Connects as the reference does; where it cannot, says so under status 200.
const CONNECT: &str = "<?php mysqli_report(MYSQLI_REPORT_OFF);\n\
    $c = @mysqli_connect(getenv('DB'), 'root', 'secreto', 'reserva');\n\
    if (!$c) { die('Error: ' . mysqli_connect_error()); }\n mysqli_set_charset($c, 'utf8mb4');\n";

const LIST: &str = "<?php include 'connect.php';\n\
    foreach (mysqli_query($c, 'SELECT nombre, lugar FROM aves ORDER BY id') as $r) {\n\
    echo '<tr><td>', htmlspecialchars($r['nombre']), '<td>', htmlspecialchars($r['lugar']); }";

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_on_the_page_or_one_link_away() {
    let index = "<h1>Aves de la reserva</h1><a href='/delete.php'>x</a> <a href='/list.php'>Ver todas</a>";
    let recipe = Recipe {
        sql: &[("sql/init.sql", BIRDS)],
        env: &[ROOT],
        pages: &[
            ("www/index.php", index),
            ("www/connect.php", CONNECT),
            ("www/list.php", LIST),
            ("www/delete.php", "<?php include 'connect.php'; mysqli_query($c, 'DELETE FROM aves'); echo 'listo';"),
            ("www/alone/index.php", "<h1>Aves</h1><p>barranquero</p>"),
        ],
        ..Recipe::default()
    };
    let Some(world) = World::up("page", recipe).await else { return };
    let params = "{role: app, rows_of: db}";
    let seen = world.look("page", params).await.unwrap();
    assert_eq!((fact(&seen, "status"), fact(&seen, "rows_shown")), (json!(200), json!(2)), "{seen:?}");
    assert!(fact(&seen, "url").as_str().unwrap().ends_with("/list.php"), "{seen:?}");
    assert_eq!(seen.explanation, None);
    assert_eq!(world.sql(&["SELECT COUNT(*) FROM reserva.aves"]).await[0][0][0].as_deref(), Some("2"));

    // A page of a form and a title, whose links are not to be followed.
    let seen = world.look("page", "{role: app, rows_of: db, follow: {links: 0}}").await.unwrap();
    assert_eq!((fact(&seen, "status"), fact(&seen, "rows_shown")), (json!(200), json!(0)), "{seen:?}");
    assert!(seen.explanation.unwrap().en.contains("shows no row"));
    let seen = world.look("page", "{role: app, rows_of: db, follow: {links: 0}, paths: [/list.php]}").await.unwrap();
    assert_eq!(fact(&seen, "rows_shown"), json!(2), "{seen:?}");

    // A page whose script fetches the rows, from what the browser calls its own machine.
    let door = world.look("http", "{url: \"http://{app.published}/\"}").await.unwrap();
    let port = fact(&door, "final_url").as_str().unwrap().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let fetching = format!("<div id=x></div><script>fetch('http://127.0.0.1:{port}/list.php').then(show)</script>");
    std::fs::write(world.path("www/index.php"), fetching).unwrap();
    let seen = world.look("page", params).await.unwrap();
    assert_eq!(fact(&seen, "rows_shown"), json!(2), "{seen:?}");
    assert!(seen.notes.iter().any(|note| note.en.contains("a script of the page fetches")), "{seen:?}");

    // Another password, and the error comes as a good page.
    std::fs::write(world.path("www/connect.php"), CONNECT.replace("secreto", "otra")).unwrap();
    std::fs::write(world.path("www/index.php"), LIST).unwrap();
    let seen = world.look("page", params).await.unwrap();
    assert_eq!((fact(&seen, "status"), fact(&seen, "rows_shown")), (json!(200), json!(0)), "{seen:?}");
    assert_eq!(fact(&seen, "database_error"), json!(true));
    assert!(seen.explanation.unwrap().en.contains("Access denied for user"), "the reason");

    // A look that changes the rows proves nothing.
    let counting = LIST.replace(
        "foreach",
        "mysqli_query($c, \"INSERT INTO aves (nombre, lugar) VALUES ('Tángara real', 'x')\");\nforeach",
    );
    std::fs::write(world.path("www/connect.php"), CONNECT).unwrap();
    std::fs::write(world.path("www/index.php"), counting).unwrap();
    let error = world.look("page", params).await.unwrap_err();
    assert!(error.text.en.contains("changed reserva.aves"), "{}", error.text.en);
}

const TRIP: &str = "{write: {role: db}, read: {page: app}, restart: true}";
const LIVE: &str = "{write: {role: db}, read: {page: app}, restart: false}";

/// A table with everything that makes writing into it hard.
const HARD: &str = "SET NAMES utf8mb4;\nCREATE DATABASE reserva CHARACTER SET utf8mb4;\nUSE reserva;\n\
    CREATE TABLE lugares (codigo CHAR(3) PRIMARY KEY, nombre VARCHAR(60) NOT NULL);\n\
    CREATE TABLE aves (id INT AUTO_INCREMENT PRIMARY KEY, nombre VARCHAR(30) NOT NULL UNIQUE, envergadura INT NOT NULL,\n\
      avistada DATE NOT NULL, tipo ENUM('rapaz', 'canora') NOT NULL, correo VARCHAR(40) NOT NULL, lugar CHAR(3) NOT NULL, foto BLOB,\n\
      cambiado TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,\n\
      CHECK (envergadura BETWEEN 5 AND 400), CHECK (correo LIKE '%@%.%'), FOREIGN KEY (lugar) REFERENCES lugares (codigo));\n\
    INSERT INTO lugares VALUES ('QEC', 'Quebrada El Cañizo'), ('PLH', 'Páramo de Las Hermosas');\n\
    INSERT INTO aves (nombre, envergadura, avistada, tipo, correo, lugar, foto) VALUES\n\
      ('Barranquero coronado', 45, '2019-03-02', 'canora', 'ana.gil@uni.edu', 'QEC', x'00ff'),\n\
      ('Cóndor \"de los\" Andes', 320, '2019-04-11', 'rapaz', 'eva@uni.edu', 'PLH', NULL);\n";

async fn everything(world: &World) -> Vec<Vec<Vec<Option<String>>>> {
    world.sql(&["SELECT *, HEX(foto) FROM reserva.aves ORDER BY id", "SELECT * FROM reserva.lugares"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_page_shows_a_fresh_row_however_hard_it_is_to_write() {
    let json = "<?php include 'connect.php'; header('Content-Type: application/json');\n\
        echo json_encode(mysqli_query($c, 'SELECT a.nombre, l.nombre AS donde FROM aves a JOIN lugares l ON l.codigo = a.lugar')->fetch_all());";
    let recipe = Recipe {
        sql: &[("sql/init.sql", HARD)],
        env: &[ROOT],
        pages: &[("www/index.php", json), ("www/connect.php", CONNECT)],
        ..Recipe::default()
    };
    let Some(world) = World::up("live", recipe).await else { return };
    let before = everything(&world).await;
    let seen = world.look("round_trip", TRIP).await.unwrap();
    assert_eq!((fact(&seen, "seen"), fact(&seen, "how")), (json!(true), json!("insert")), "{seen:?}");
    assert_eq!(everything(&world).await, before);
    assert_eq!(seen.notes.len(), 1, "{seen:?}");
    let seen = world.look("round_trip", LIVE).await.unwrap();
    assert_eq!(fact(&seen, "seen"), json!(true), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_shows_one_row_is_bound_by_changing_it() {
    let one = LIST.replace("ORDER BY id", "WHERE id = 1");
    let recipe = Recipe {
        sql: &[("sql/init.sql", HARD)],
        env: &[ROOT],
        pages: &[("www/index.php", &one.replace(", lugar", ", correo AS lugar")), ("www/connect.php", CONNECT)],
        ..Recipe::default()
    };
    let Some(world) = World::up("update", recipe).await else { return };
    let before = everything(&world).await;
    let seen = world.look("round_trip", TRIP).await.unwrap();
    assert_eq!((fact(&seen, "seen"), fact(&seen, "how")), (json!(true), json!("update")), "{seen:?}");
    assert_eq!(everything(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_only_after_a_restart_is_from_the_database_and_not_live() {
    // Filled by the first visit, forgotten by a restart: /dev/shm is the container's own memory.
    let cached = format!(
        "<?php if (!file_exists('/dev/shm/page')) {{ ob_start(); ?>{LIST} file_put_contents('/dev/shm/page', ob_get_clean()); }}\n readfile('/dev/shm/page');"
    );
    let recipe = Recipe {
        sql: &[("sql/init.sql", BIRDS)],
        env: &[ROOT],
        pages: &[("www/index.php", &cached), ("www/connect.php", CONNECT)],
        ..Recipe::default()
    };
    let Some(world) = World::up("restart", recipe).await else { return };
    let page = world.look("page", "{role: app, rows_of: db}").await.unwrap();
    assert_eq!(fact(&page, "rows_shown"), json!(2), "{page:?}");
    let seen = world.look("round_trip", TRIP).await.unwrap();
    assert_eq!((fact(&seen, "seen"), fact(&seen, "how")), (json!(true), json!("restart")), "{seen:?}");
    let seen = world.look("round_trip", LIVE).await.unwrap();
    assert_eq!(fact(&seen, "seen"), json!(false), "{seen:?}");
    assert!(seen.explanation.unwrap().en.contains("only after"), "the explanation");
    assert_eq!(world.sql(&["SELECT COUNT(*) FROM reserva.aves"]).await[0][0][0].as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_constants_is_not_from_the_database() {
    let recipe = Recipe {
        sql: &[("sql/init.sql", BIRDS)],
        env: &[ROOT],
        pages: &[("www/index.php", "<li>Barranquero coronado, Quebrada El Cañizo<li>Cóndor de los Andes")],
        ..Recipe::default()
    };
    let Some(world) = World::up("constants", recipe).await else { return };
    let page = world.look("page", "{role: app, rows_of: db}").await.unwrap();
    assert_eq!(fact(&page, "rows_shown"), json!(2), "{page:?}");
    let before = world.sql(&["SELECT * FROM reserva.aves"]).await;
    let seen = world.look("round_trip", TRIP).await.unwrap();
    assert_eq!(fact(&seen, "seen"), json!(false), "{seen:?}");
    assert!(seen.explanation.unwrap().en.contains("does not come from the database"), "the explanation");
    assert_eq!(world.sql(&["SELECT * FROM reserva.aves"]).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_written_nothing_can_be_told() {
    let env = [ROOT];
    let recipe = Recipe {
        sql: &[("sql/init.sql", BIRDS)],
        env: &env,
        pages: &[("www/index.php", LIST), ("www/connect.php", CONNECT)],
        ..Recipe::default()
    };
    let Some(world) = World::up("readonly", recipe).await else { return };
    for event in ["INSERT", "UPDATE"] {
        let trigger = format!(
            "CREATE TRIGGER reserva.no_{event} BEFORE {event} ON reserva.aves FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'cerrado'"
        );
        world.sql(&[&trigger]).await;
    }
    let error = world.look("round_trip", TRIP).await.unwrap_err();
    assert_eq!(error.reason, imparcial::notice::Reason::Unproven);
    assert!(error.text.en.contains("cerrado"), "{}", error.text.en);
}
