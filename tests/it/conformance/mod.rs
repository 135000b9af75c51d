//! What the official images promise, and whether the stand-ins keep it: `vagrant/conformance.yaml`, tried row by row.

mod look;
mod page;
mod run;
mod table;

use std::path::{Path, PathBuf};

use table::Table;

fn vagrant(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vagrant").join(name)
}

fn table() -> Table {
    let text = std::fs::read_to_string(vagrant("conformance.yaml")).unwrap();
    Table::read(&text).unwrap_or_else(|problem| panic!("vagrant/conformance.yaml: {problem}"))
}

/// The last line of defence against a stand-in that blames the wrong party: every row against the image itself.
#[tokio::test(flavor = "multi_thread")]
async fn stand_ins_keep_what_the_official_images_promise() {
    let Some(engine) = crate::live::engine().await else { return };
    let began = std::time::Instant::now();
    let table = table();
    let tried = run::Tried::asked().unwrap_or_else(|problem| panic!("{problem}"));
    let (promises, broken) = run::all(&engine, &table, &tried).await.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{promises} promises tried in {:?}", began.elapsed());
    assert!(promises > 0, "{}: no promise is about it", run::TRIED);
    assert!(broken.is_empty(), "{} of {promises} promises:\n\n{}", broken.len(), broken.join("\n\n"));
}

/// With `IMPARCIAL_REWRITE=1` it is written anew.
#[test]
fn the_generated_page_is_what_would_be_generated_now() {
    let (now, file) = (page::page(&table()), vagrant("CONFORMANCE.md"));
    if std::env::var_os("IMPARCIAL_REWRITE").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let how = "`IMPARCIAL_REWRITE=1 cargo test --test it -- generated` writes it anew";
    assert!(there == now, "vagrant/CONFORMANCE.md is stale: {how}");
}

#[test]
fn a_planned_table_has_no_row_that_proves_nothing() {
    let right = table::EXAMPLE;
    Table::read(right).unwrap_or_else(|problem| panic!("{problem}"));
    for (part, wrong) in [
        ("image: redis", "image: mongo"),
        ("source: hub", "source: nowhere"),
        ("shows: PONG", "shows: '('"),
        (", shows: PONG", ""),
        ("see: [{run: [redis-cli, ping], shows: PONG}]", "see: []"),
        ("run: [redis-cli, ping]", "log: x, http: ':80/'"),
        ("run: [redis-cli, ping]", "rnu: [redis-cli, ping]"),
        ("id: redis-answers", "id: redis-runs"),
        ("says: It answers.", "says: ''"),
    ] {
        assert!(right.contains(part), "{part}");
        assert!(Table::read(&right.replacen(part, wrong, 1)).is_err(), "{wrong} was taken");
    }
}
