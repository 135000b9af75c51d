//! The rulings as teachers read them: none without a guard, no guard that is not there, and the same in both languages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// A page, and how it says the words that are looked for.
struct Page {
    file: &'static str,
    guarded: &'static str,
    mutants: [&'static str; 2],
    tests: [&'static str; 2],
}

const ENGLISH: Page =
    Page { file: "docs/rulings.md", guarded: "Guarded by: ", mutants: ["mutant", "mutants"], tests: ["test", "tests"] };
const SPANISH: Page = Page {
    file: "docs/rulings.es.md",
    guarded: "Lo vigila: ",
    mutants: ["mutante", "mutantes"],
    tests: ["prueba", "pruebas"],
};

/// Mutants that stand for no case of the page: plain faults, one for each check.
const GENERAL: &[&str] = &[];

#[derive(Debug, Default, PartialEq, Eq)]
struct Guards {
    mutants: Vec<String>,
    tests: Vec<String>,
}

struct Ruling {
    area: usize,
    text: String,
    guards: Guards,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Names in a guard's line: `mutants \`a\`, \`b\`; test \`c\`.`
fn guards(line: &str, page: &Page) -> Result<Guards, String> {
    static PART: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^([a-z]+) (`[a-z0-9_-]+`(?:, `[a-z0-9_-]+`)*)$").unwrap());
    let mut guards = Guards::default();
    for text in line.trim_end_matches('.').split("; ") {
        let Some(found) = PART.captures(text) else { return Err(format!("`{text}` names no guard")) };
        let names: Vec<String> = found[2].split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        let word = usize::from(names.len() > 1);
        match &found[1] {
            kind if kind == page.mutants[word] => guards.mutants.extend(names),
            kind if kind == page.tests[word] => guards.tests.extend(names),
            kind => return Err(format!("`{kind}` of {} is no kind of guard", names.len())),
        }
    }
    Ok(guards)
}

/// Every ruling below the page's second-level headings: a paragraph with its verdict in bold, then its guards.
fn rulings(page: &Page, markdown: &str) -> (Vec<Ruling>, Vec<String>) {
    let (mut all, mut complaints, mut area) = (Vec::new(), Vec::new(), 0);
    let mut open: Option<&str> = None;
    for block in markdown.split("\n\n").map(str::trim).filter(|b| !b.is_empty()).chain(["## "]) {
        let begins = block.lines().next().unwrap_or_default();
        match block.strip_prefix(page.guarded) {
            Some(line) => match (open.take(), guards(line, page)) {
                (Some(text), Ok(guards)) => all.push(Ruling { area, text: text.to_owned(), guards }),
                (None, _) => complaints.push(format!("{}: guards of nothing: {begins}", page.file)),
                (_, Err(why)) => complaints.push(format!("{}: {why}: {begins}", page.file)),
            },
            None => {
                if let Some(text) = open.take() {
                    complaints.push(format!("{}: without a guard: {text}", page.file));
                }
                if block.starts_with("## ") {
                    area += 1;
                } else if area > 0 {
                    open = Some(block);
                }
            }
        }
    }
    let bold = Regex::new(r"\*\*[^*]+\*\*").unwrap();
    complaints.extend(
        all.iter()
            .filter(|r| !bold.is_match(&r.text))
            .map(|r| format!("{}: no verdict in bold: {}", page.file, r.text)),
    );
    (all, complaints)
}

fn read(page: &Page) -> Vec<Ruling> {
    let text = fs::read_to_string(root().join(page.file)).unwrap_or_else(|e| panic!("{}: {e}", page.file));
    let (rulings, complaints) = rulings(page, &text);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert!(rulings.len() > 40, "{}: {} rulings were found", page.file, rulings.len());
    rulings
}

/// Every mutant of every scenario, and those of `seed`.
fn mutants() -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |scenario: &Path| -> BTreeSet<String> {
        let Ok(entries) = fs::read_dir(scenario.join("mutants")) else { return BTreeSet::new() };
        let folders = entries.map(|e| e.unwrap().path()).filter(|path| path.join("mutant.yaml").is_file());
        folders.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let scenarios = root().join("scenarios");
    let all = fs::read_dir(&scenarios).unwrap().flat_map(|entry| names(&entry.unwrap().path())).collect();
    (all, names(&scenarios.join("seed")))
}

/// The names of all test functions.
fn tests() -> BTreeSet<String> {
    let test = Regex::new(r"#\[(?:tokio::)?test(?:\([^\]]*\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)").unwrap();
    let files = ["src", "tests"].into_iter().flat_map(|folder| walkdir::WalkDir::new(root().join(folder)));
    let rust = files.map(|e| e.unwrap().into_path()).filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let names = |path: PathBuf| -> Vec<String> {
        test.captures_iter(&fs::read_to_string(path).unwrap()).map(|found| found[1].to_owned()).collect()
    };
    rust.flat_map(names).collect()
}

#[test]
fn every_guard_of_a_ruling_is_there() {
    let (mutants, _) = mutants();
    let tests = tests();
    assert!(tests.len() > 500 && tests.contains("every_guard_of_a_ruling_is_there"), "{} tests", tests.len());
    let mut complaints = Vec::new();
    for page in [ENGLISH, SPANISH] {
        for ruling in read(&page) {
            let missing = ruling.guards.mutants.iter().filter(|name| !mutants.contains(*name));
            complaints.extend(missing.map(|name| format!("{}: no mutant `{name}`", page.file)));
            let missing = ruling.guards.tests.iter().filter(|name| !tests.contains(*name));
            complaints.extend(missing.map(|name| format!("{}: no test `{name}`", page.file)));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn both_languages_rule_alike() {
    let (english, spanish) = (read(&ENGLISH), read(&SPANISH));
    for (en, es) in english.iter().zip(&spanish) {
        assert_eq!((en.area, &en.guards), (es.area, &es.guards), "\n{}\n{}", en.text, es.text);
        assert_ne!(en.text, es.text);
    }
    assert_eq!(english.len(), spanish.len());
}

#[test]
fn every_mutant_guards_a_ruling() {
    let named: BTreeSet<String> = read(&ENGLISH).into_iter().flat_map(|ruling| ruling.guards.mutants).collect();
    let (_, seed) = mutants();
    for name in &seed {
        let general = GENERAL.contains(&name.as_str());
        assert!(
            named.contains(name) != general,
            "{name}: guards no ruling of docs/rulings.md, or is no longer general"
        );
    }
    assert!(GENERAL.iter().all(|name| seed.contains(*name)), "a general mutant is gone");
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let whole = "# T\n\nIntro.\n\n## A\n\nX is **fail**.\n\nGuarded by: mutants `a`, `b-c`; test `d_e`.\n";
    let (found, complaints) = rulings(&ENGLISH, whole);
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(found.len(), 1);
    let expected = Guards { mutants: vec!["a".into(), "b-c".into()], tests: vec!["d_e".into()] };
    assert_eq!(found[0].guards, expected);
    for (right, wrong, said) in [
        ("Guarded by: mutants `a`, `b-c`; test `d_e`.", "", "without a guard"),
        ("Guarded by", "Y is **pass**.\n\nGuarded by", "without a guard"),
        ("X is **fail**.\n\n", "", "guards of nothing"),
        ("test `d_e`", "tests `d_e`", "no kind of guard"),
        ("test `d_e`", "test d_e", "names no guard"),
        ("**fail**", "fail", "no verdict in bold"),
    ] {
        assert!(whole.contains(right), "{right}");
        let (_, complaints) = rulings(&ENGLISH, &whole.replacen(right, wrong, 1));
        assert!(complaints.len() == 1 && complaints[0].contains(said), "{wrong}: {complaints:?}");
    }
}
