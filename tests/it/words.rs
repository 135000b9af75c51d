//! Texts for people are in both languages and say the same: every `Text::new` and `pick` of the source is looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use assert_cmd::Command;
use imparcial::plan;
use imparcial::probe::PROBES;
use imparcial::report;
use imparcial::scenario;
use imparcial::text::Lang;
use regex::Regex;

/// A text as it stands in the source: where, and the first literal of each language.
struct Pair {
    at: String,
    en: String,
    es: String,
}

/// The arguments of a call, from behind its parenthesis to the one that closes it.
fn arguments(code: &str) -> Vec<String> {
    let (mut all, mut depth, mut current) = (Vec::new(), 0, String::new());
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                current.push(c);
                let mut escaped = false;
                for c in chars.by_ref() {
                    current.push(c);
                    match c {
                        '"' if !escaped => break,
                        _ => escaped = c == '\\' && !escaped,
                    }
                }
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    all.push(current);
    all.retain(|argument| !argument.trim().is_empty());
    all
}

fn literal(argument: &str) -> Option<String> {
    static LITERAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap());
    LITERAL.captures(argument).map(|found| found[1].to_owned())
}

/// What of the source is no test, by file.
fn code() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = walkdir::WalkDir::new(&src).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    let test = |name: &str| name.ends_with("tests.rs") || name.ends_with("fixture.rs");
    files
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let name = path.strip_prefix(&src).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            (name, text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned())
        })
        .filter(|(name, _)| !test(name))
        .collect()
}

/// The arguments of each call of a function, with where it stands.
fn calls(of: &str) -> Vec<(String, Vec<String>)> {
    let call = Regex::new(of).unwrap();
    let mut all = Vec::new();
    for (name, text) in code() {
        for found in call.find_iter(&text) {
            let line = text[..found.start()].matches('\n').count() + 1;
            all.push((format!("src/{name}:{line}"), arguments(&text[found.end()..])));
        }
    }
    all
}

fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, mut arguments) in calls(r"\b(Text::new|pick)\(") {
        arguments.retain(|argument| argument.trim() != "lang");
        if let [en, es] = arguments.as_slice()
            && let (Some(en), Some(es)) = (literal(en), literal(es))
        {
            pairs.push(Pair { at, en, es });
        }
    }
    pairs
}

/// The words that people read: without names in backticks and placeholders.
fn words(text: &str) -> Vec<String> {
    static NO_WORDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`[^`]*`|\{[^}]*\}|\\n").unwrap());
    static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\p{L}{2,}").unwrap());
    let bare = NO_WORDS.replace_all(text, " ").to_lowercase();
    WORD.find_iter(&bare).map(|word| word.as_str().to_owned()).collect()
}

fn no_complaints(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_text_is_in_its_language() {
    let pairs = pairs();
    assert!(pairs.len() > 250, "texts are found: {}", pairs.len());
    let english: BTreeSet<&str> = ["the", "is", "are", "not", "with", "was", "and", "of"].into();
    let spanish: BTreeSet<&str> = ["el", "los", "las", "que", "de", "con", "una", "del"].into();
    let mut complaints = Vec::new();
    for Pair { at, en, es } in &pairs {
        if en.is_empty() != es.is_empty() {
            complaints.push(format!("{at}: one language has no text"));
        }
        let (in_en, in_es) = (words(en), words(es));
        // `no` and `error` are the same in both.
        if in_en.len() > 1 && in_en == in_es {
            complaints.push(format!("{at}: the same in both languages: {en}"));
        }
        if let Some(word) = in_es.iter().find(|word| english.contains(word.as_str())) {
            complaints.push(format!("{at}: `{word}` in Spanish: {es}"));
        }
        if let Some(word) = in_en.iter().find(|word| spanish.contains(word.as_str())) {
            complaints.push(format!("{at}: `{word}` in English: {en}"));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn both_languages_say_as_much() {
    let placeholder = Regex::new(r"\{(\w*)[^}]*\}").unwrap();
    let named = |text: &str| {
        let text = text.replace("{{", "").replace("}}", "");
        placeholder.captures_iter(&text).map(|found| found[1].to_owned()).collect::<BTreeSet<_>>().len()
    };
    let complaints: Vec<_> = pairs()
        .iter()
        .filter(|pair| named(&pair.en) != named(&pair.es))
        .map(|Pair { at, en, es }| format!("{at}: not the same values\n  {en}\n  {es}"))
        .collect();
    no_complaints(&complaints);
}

#[test]
fn people_are_addressed_in_one_way() {
    let familiar = Regex::new(
        r"(?i)(?:^|[:;,.] |\b[yo] )(ejecuta|arranca|mira|libera|quita|corrige|instala|indica|revisa|deja|usa|comprueba|repite|vuelve|escribe|arráncal[oa]) |\bficheros?\b",
    )
    .unwrap();
    let complaints: Vec<_> = pairs()
        .iter()
        // "it runs files" is said of a service.
        .filter(|pair| !pair.en.starts_with("it "))
        .filter_map(|pair| Some((pair, familiar.find(&pair.es)?)))
        .map(|(pair, found)| format!("{}: `{}`: {}", pair.at, found.as_str(), pair.es))
        .collect();
    no_complaints(&complaints);
}

#[test]
fn what_is_the_same_in_every_language_is_no_sentence() {
    let sentence = |(at, arguments): (String, Vec<String>)| {
        let text = literal(arguments.first()?)?;
        // Names, numbers and units.
        (words(&text).len() > 2).then(|| format!("{at}: `Text::same` of a sentence: {text}"))
    };
    no_complaints(&calls(r"\bText::same\(").into_iter().filter_map(sentence).collect::<Vec<_>>());
}

/// The phases of a run, as the source names them.
fn phases() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (of, at) in [(r"\bEvent::Phase\(", 0), (r"\blog\.phase\(", 0), (r"\bStep::Phase\(", 0), (r"[^.]\bphase\(", 1)] {
        names.extend(calls(of).iter().filter_map(|(_, arguments)| literal(arguments.get(at)?)));
    }
    names
}

#[test]
fn phases_have_names_in_both_languages() {
    let names = phases();
    assert!(names.contains("lab") && names.contains("images") && names.len() >= 7, "phases are found: {names:?}");
    let english: Vec<_> = names.iter().filter(|name| report::phase(name, Lang::Es) == name.as_str()).collect();
    assert!(english.is_empty(), "no Spanish name in `report::phase`: {english:?}");
    assert!(names.iter().all(|name| report::phase(name, Lang::En) == name));
}

#[test]
fn what_is_printed_while_people_wait_is_in_both_languages() {
    let sentence = |(at, arguments): (String, Vec<String>)| {
        let text = literal(arguments.first()?)?;
        let said = text.trim_start_matches("error: ");
        (words(said).len() > 1).then(|| format!("{at}: printed in one language: {text}"))
    };
    let mut printed = calls(r"\beprintln!\(");
    printed.extend(calls(r"\b(?:bars::)?say\(").into_iter().filter(|(_, arguments)| arguments.len() == 1));
    // The language is not known yet, or a table of ours for those who work on imparcial.
    let apart = |at: &str| {
        ["src/main.rs", "src/cli/mod.rs", "src/cli/mutants.rs", "src/cli/bench", "src/harness"]
            .iter()
            .any(|file| at.starts_with(file))
    };
    no_complaints(&printed.into_iter().filter(|(at, _)| !apart(at)).filter_map(sentence).collect::<Vec<_>>());
}

#[test]
fn shipped_scenarios_are_in_both_languages() {
    for name in ["seed", "compose-basics", "parcial-2-2019", "parcial-3-2018"] {
        let file = scenario::locate(name).unwrap();
        let scenario = scenario::read(&file, &plan::names(PROBES)).scenario.unwrap();
        assert_eq!(scenario.in_one_language(), Vec::<String>::new(), "{name}");
        assert!(scenario.checks.iter().all(|check| check.title.is_some()), "{name}: a title for people");
        assert!(scenario.checks.iter().filter(|c| c.points > 0).all(|check| check.hint.is_some()), "{name}: a hint");
    }
}

#[test]
fn the_walk_finds_what_it_is_for() {
    assert_eq!(
        arguments(r#""a, (b\"", format!("c {}", d(1, 2))) + e"#),
        [r#""a, (b\"""#, r#" format!("c {}", d(1, 2))"#]
    );
    assert_eq!(words("the `db` of {name:>3} está\\naquí"), ["the", "of", "está", "aquí"]);
}

/// What people get wrong first, as they see it: code, and standard error and output together.
fn told(lang: &str, args: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::os::unix::fs::symlink(root.join("scenarios"), dir.path().join("scenarios")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command.current_dir(dir.path()).env("DOCKER_HOST", "unix:///nowhere/docker.sock").args(["--lang", lang, "-q"]);
    let output = command.args(args).output().unwrap();
    let text = [output.stderr, output.stdout].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn common_mistakes_are_said_in_both_languages() {
    let reference = "scenarios/seed/reference";
    let grade = |folder, scenario| vec!["grade", folder, "--scenario", scenario];
    let cases = [
        (grade("nowhere", "seed"), 2, "there is no folder `nowhere`", "no existe la carpeta `nowhere`"),
        (grade("notes.txt", "seed"), 2, "a submission is a folder", "una entrega es una carpeta"),
        (
            grade(reference, "sead"),
            2,
            "there is no scenario `sead`: did you mean `seed`?",
            "no hay ningún escenario `sead`: ¿quiso decir `seed`?",
        ),
        (grade(reference, "a/b.yaml"), 2, "there is no file `a/b.yaml`", "no hay ningún archivo `a/b.yaml`"),
        (grade(reference, "seed"), 3, "start the Docker engine", "arranque el motor de Docker"),
        (vec!["report", "run-9"], 2, "run-9", "run-9"),
        (vec!["mutants", "--scenario", "sead"], 2, "there is no scenario", "no hay ningún escenario"),
        (vec!["mutants", "--only", "refrence"], 2, "did you mean `reference`?", "¿quiso decir `reference`?"),
        (vec!["down"], 3, "start the Docker engine", "arranque el motor de Docker"),
    ];
    for (args, code, en, es) in cases {
        for (lang, wanted) in [("en", en), ("es", es)] {
            let (seen, text) = told(lang, &args);
            assert!(seen == code && text.contains(wanted), "{args:?} {lang}: {seen}, `{wanted}` in\n{text}");
        }
    }
}

/// What `grade` tells while it goes on, where no engine answers: its one phase.
#[test]
fn the_lines_of_a_run_are_in_its_language() {
    let phase = Regex::new(r"^ +\d+\.\d s  (\w+) \(\d+\.\d s\)$").unwrap();
    for (lang, wanted) in [("en", "lab"), ("es", "laboratorio")] {
        let dir = tempfile::tempdir().unwrap();
        let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/seed");
        let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
        command
            .current_dir(dir.path())
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .args(["--lang", lang, "grade"]);
        command.arg(reference.join("reference")).arg("--scenario").arg(reference.join("scenario.yaml"));
        let told = String::from_utf8(command.output().unwrap().stderr).unwrap();
        let names: Vec<_> = told.lines().filter_map(|line| Some(phase.captures(line)?[1].to_owned())).collect();
        assert_eq!(names, [wanted], "{told}");
    }
}
