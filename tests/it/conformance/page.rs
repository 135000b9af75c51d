//! The table for people, `vagrant/CONFORMANCE.md`.

use std::fmt::Write as _;

use super::table::{Look, Promise, Start, Table};

const HEAD: &str = "\
# What the official images promise, and how the stand-ins keep it

Made from [`conformance.yaml`](conformance.yaml): edit that, not this page (`IMPARCIAL_REWRITE=1 cargo test --test it -- generated`).

Every row is tried against the stand-in itself by `cargo test --test it -- conformance`, in a container that is started as the row says.
A row that is *not kept* is tried too: it shows the difference. *Undecided* there means that what is printed is a line for which a failing check is
`error` and costs nobody a point; the test asks the same table of lines that a run asks.
";

pub(super) fn page(table: &Table) -> String {
    let rows: Vec<(&Start, &Promise)> =
        table.starts.iter().flat_map(|start| start.promises.iter().map(move |promise| (start, promise))).collect();
    let kept = rows.iter().filter(|(_, promise)| promise.not_kept.is_none()).count();
    let mut out = HEAD.to_owned();
    let _ = writeln!(out, "\n{} promises: {kept} kept, {} not kept.", rows.len(), rows.len() - kept);
    let mut images: Vec<&str> = Vec::new();
    for (start, _) in &rows {
        if !images.contains(&start.image.as_str()) {
            images.push(&start.image);
        }
    }
    for image in images {
        let _ = writeln!(out, "\n## {image}\n\n| promise | kept | proven by | source |\n| --- | --- | --- | --- |");
        for (start, promise) in rows.iter().filter(|(start, _)| start.image == image) {
            row(&mut out, table, start, promise);
        }
    }
    out
}

fn row(out: &mut String, table: &Table, start: &Start, promise: &Promise) {
    let kept = match &promise.not_kept {
        None => "yes".to_owned(),
        Some(instead) if promise.undecided => format!("**no**: {instead} *Undecided.*"),
        Some(instead) => format!("**no**: {instead}"),
    };
    let proof: Vec<String> = promise.see.iter().map(look).collect();
    // A source is there: the table was checked.
    let source = &table.sources[&promise.source];
    let proof = format!("`{}`: {}", start.id, proof.join("; "));
    let _ = writeln!(
        out,
        "| {} | {} | {} | [{}]({}) |",
        cell(&promise.says),
        cell(&kept),
        cell(&proof),
        source.title,
        source.url
    );
}

/// A look in a few words.
fn look(look: &Look) -> String {
    let mut words = if let Some(argv) = &look.run {
        code(&argv.join(" "))
    } else if let Some(pattern) = &look.log {
        format!("log {}", code(pattern))
    } else if let Some(status) = look.ends {
        format!("ends with {status}")
    } else if let Some(http) = &look.http {
        format!("GET {}", code(http))
    } else if let Some(tcp) = &look.tcp {
        format!("port {}", tcp.port)
    } else if let Some(sql) = &look.sql {
        format!("as {} {}", sql.user, code(&sql.ask))
    } else {
        format!("image {}", code(look.image.as_deref().unwrap_or_default()))
    };
    if let Some(status) = look.status.filter(|status| *status != 0) {
        let _ = write!(words, " ends with {status}");
    }
    for (word, pattern) in [("shows", &look.shows), ("does not show", &look.hides)] {
        if let Some(pattern) = pattern {
            let _ = write!(words, " {word} {}", code(pattern));
        }
    }
    words
}

/// In a table's cell a line end is a blank, and a long command is cut.
fn code(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(90).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    format!("`{}{more}`", cut.replace('`', "'"))
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
