//! `mutant.yaml`: what is changed in which model answer and what must come of it; decoded strictly, every problem at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::nearest;
use crate::scenario::tree::{self, Decoder, Problem, Yaml};
use crate::scenario::units;
use crate::scenario::{Base, Milli, REFERENCE};

/// A mutant as its manifest says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mutant {
    /// The folder's name.
    pub name: String,
    pub folder: PathBuf,
    /// What is changed: the reference, unless the manifest names another.
    pub base: Base,
    /// One or two sentences, for developers.
    pub about: String,
    /// The layers of its base that are brought up; empty is all of them.
    pub layers: Vec<String>,
    /// Graded also where only a few of its kind are.
    pub sample: bool,
    pub expect: Expect,
    /// Checks that are skipped because of it, in full, observations left out.
    pub skips: Vec<String>,
    /// Checks that may be skipped or not, as time has it.
    pub may_skip: Vec<String>,
    /// Observations that fail.
    pub expect_observation: Vec<String>,
    /// Where the checks at the root must lead in the submission, `file:line`, in the scenario's order; empty, they must lead
    /// nowhere. Nothing is asked where it is not said.
    pub looks_at: Option<Vec<String>>,
    /// Points that are lost, those of `skips` included.
    pub loses: Milli,
    pub undecided_points: Milli,
    /// At least so much patience, whatever the caller asks for.
    pub patience: Option<Duration>,
    /// More arguments of `imparcial grade`.
    pub args: Vec<String>,
    // In the order in which they are applied.
    pub rename: Vec<Rename>,
    pub remove: Vec<String>,
    pub edit: Vec<Edit>,
    pub append: Vec<Append>,
    pub add: Vec<Add>,
    pub encode: Vec<Encode>,
}

/// The checks at the root; none at all is a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Must fail by themselves.
    pub failed: Vec<String>,
    /// Must be `error` by themselves.
    pub undecided: Vec<String>,
}

impl Expect {
    pub fn is_pass(&self) -> bool {
        self.failed.is_empty() && self.undecided.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub from: String,
    pub to: String,
}

/// A text that occurs exactly once, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub file: String,
    pub replace: String,
    pub with: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    pub file: String,
    pub content: String,
}

/// A new file, its content here or in a file of the mutant's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    pub file: String,
    pub content: Option<String>,
    pub from: Option<String>,
}

/// The same text in other bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encode {
    pub file: String,
    pub bom: bool,
    pub crlf: bool,
    pub latin_1: bool,
}

impl Mutant {
    /// A base itself, which must pass: the row that all others of it are measured by.
    pub fn unchanged(base: &Base) -> Self {
        let (name, about) = (base.name.clone(), base.about.clone());
        let expect_observation = base.expect_observation.clone();
        let layers = base.layers.clone();
        Self { name, about, layers, sample: true, expect_observation, base: base.clone(), ..Self::default() }
    }

    /// Whether it takes long: machines are brought up for it, or something is broken on purpose.
    pub fn boots(&self) -> bool {
        let long = |layer: &String| layer == "machines" || layer == "drills";
        self.layers.is_empty() || self.layers.iter().any(long)
    }
}

/// Every mutant of a scenario's folder, by name; problems of all of them together.
pub fn load_all(mutants: &Path, bases: &[Base]) -> Result<Vec<Mutant>, Vec<Problem>> {
    let entries = std::fs::read_dir(mutants)
        .map_err(|e| vec![whole(mutants, format!("the mutants' folder could not be read: {e}"))])?;
    let mut folders: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    let mut loaded = Vec::new();
    let mut problems = Vec::new();
    for folder in folders {
        match load(&folder, bases) {
            // Both are rows of one table, and asked for by their names.
            Ok(mutant) if bases.iter().any(|base| base.name == mutant.name) => {
                problems.push(whole(&folder, "a mutant must not have the name of a base".to_owned()));
            }
            Ok(mutant) => loaded.push(mutant),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

fn whole(file: &Path, message: String) -> Problem {
    Problem::new(&crate::expect::Place { file: file.display().to_string(), line: 0, column: 0 }, message)
}

/// The mutant of a folder.
pub fn load(folder: &Path, bases: &[Base]) -> Result<Mutant, Vec<Problem>> {
    let file = folder.join("mutant.yaml");
    let text = std::fs::read_to_string(&file)
        .map_err(|e| vec![whole(&file, format!("the manifest could not be read: {e}"))])?;
    let node = tree::read(&text, &file.display().to_string())?;
    let mut problems = Vec::new();
    let mut d = Decoder::new(&node, &mut problems);
    let mutant = decode(&mut d, folder, bases);
    d.finish();
    match mutant {
        Some(mutant) if problems.is_empty() => Ok(mutant),
        _ => Err(problems),
    }
}

fn decode(d: &mut Decoder<'_>, folder: &Path, bases: &[Base]) -> Option<Mutant> {
    let about = d.required_text("about");
    let base = base(d, bases);
    let layers = d.text_list("layers");
    if layers.is_empty() {
        d.problem_with("layers", "`layers` says which layers it needs", Some("such as `[services]`"));
    }
    let expect = expectation(d);
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mutant = Mutant {
        name,
        folder: folder.to_owned(),
        base: base.unwrap_or_default(),
        about: about.unwrap_or_default(),
        layers,
        sample: d.bool_or("sample", false),
        expect: expect.clone().unwrap_or_default(),
        skips: d.text_list("skips"),
        may_skip: d.text_list("may_skip"),
        expect_observation: d.text_list("expect_observation"),
        looks_at: d.has("looks_at").then(|| d.text_list("looks_at")),
        loses: points(d, "loses"),
        undecided_points: points(d, "undecided_points"),
        patience: d.duration("patience"),
        args: d.text_list("args"),
        rename: list(d, "rename", |d| Some(Rename { from: d.required_text("from")?, to: d.required_text("to")? })),
        remove: d.text_list("remove"),
        edit: list(d, "edit", |d| {
            let (file, replace, with) = (d.required_text("file"), exact(d, "replace"), exact(d, "with"));
            Some(Edit { file: file?, replace: replace?, with: with? })
        }),
        append: list(d, "append", |d| {
            let (file, content) = (d.required_text("file"), exact(d, "content"));
            Some(Append { file: file?, content: content? })
        }),
        add: list(d, "add", addition),
        encode: list(d, "encode", |d| {
            let (file, bom, crlf) = (d.required_text("file"), d.bool_or("bom", false), d.bool_or("crlf", false));
            let charset = d.word("charset", &["utf-8", "latin-1"]);
            Some(Encode { file: file?, bom, crlf, latin_1: charset == Some("latin-1") })
        }),
    };
    expect.map(|_| mutant)
}

/// `base: NAME`, the reference without one.
fn base(d: &mut Decoder<'_>, bases: &[Base]) -> Option<Base> {
    let name = d.text_or("base", REFERENCE);
    let found = bases.iter().find(|base| base.name == name);
    if found.is_none() {
        let hint = nearest::hint(&name, bases.iter().map(|base| base.name.as_str()));
        d.problem_with("base", format!("there is no base `{name}`"), Some(&hint));
    }
    found.cloned()
}

/// `expect_fail: [ids]`, `undecided: [ids]`, both, or `expect: pass`.
fn expectation(d: &mut Decoder<'_>) -> Option<Expect> {
    let expect = Expect { failed: d.text_list("expect_fail"), undecided: d.text_list("undecided") };
    let pass = d.word("expect", &["pass"]).is_some();
    if pass == expect.is_pass() {
        return Some(expect);
    }
    let hint = "`expect: pass`, or the roots in `expect_fail: [ids]`, `undecided: [ids]` or both";
    d.problem_with("expect", "what must come of it is not said, or said twice", Some(hint));
    None
}

fn points(d: &mut Decoder<'_>, key: &'static str) -> Milli {
    let Some(text) = d.text(key) else { return 0 };
    units::milli(&text).unwrap_or_else(|| {
        d.problem_with(key, format!("`{key}` must be points, not `{text}`"), None);
        0
    })
}

fn addition(d: &mut Decoder<'_>) -> Option<Add> {
    let (file, content, from) = (d.required_text("file"), exact_if(d, "content"), d.text("from"));
    if content.is_some() == from.is_some() {
        d.problem_with("file", "a file is added with either `content` or `from`", None);
        return None;
    }
    Some(Add { file: file?, content, from })
}

/// A text that may be empty or blank, but must be there.
fn exact(d: &mut Decoder<'_>, key: &'static str) -> Option<String> {
    d.required(key)?;
    d.text(key)
}

fn exact_if(d: &mut Decoder<'_>, key: &'static str) -> Option<String> {
    d.has(key).then(|| d.text(key)).flatten()
}

/// A list of maps, each decoded with its own unknown keys reported.
fn list<T>(d: &mut Decoder<'_>, key: &'static str, decode: impl Fn(&mut Decoder<'_>) -> Option<T>) -> Vec<T> {
    let Some(node) = d.node(key) else { return Vec::new() };
    let Yaml::List(items) = &node.value else {
        d.problem_with(key, format!("`{key}` must be a list of maps, not {}", node.describe()), None);
        return Vec::new();
    };
    items.iter().filter_map(|item| d.within(item, &decode)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Base> {
        [REFERENCE, "php"].map(|name| Base { name: name.to_owned(), ..Base::default() }).into()
    }

    fn loaded(text: &str) -> Result<Mutant, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let mutant = folder.path().join("a-mutant");
        std::fs::create_dir(&mutant).unwrap();
        std::fs::write(mutant.join("mutant.yaml"), text).unwrap();
        load(&mutant, &known()).map_err(|problems| {
            let line =
                |p: Problem| format!("{}:{} {} ({})", p.at.line, p.at.column, p.message, p.hint.unwrap_or_default());
            problems.into_iter().map(line).collect()
        })
    }

    #[test]
    fn a_manifest_is_read_whole() {
        let mutant = loaded(
            "about: x.\nlayers: [services]\nexpect_fail: [page]\nloses: 16.5\nskips: [a, b]\npatience: 60s\n\
             looks_at: [\"app/app.py:14\"]\n\
             edit:\n  - {file: f, replace: \"a\\n\", with: \"\"}\nencode:\n  - {file: g, bom: true, charset: latin-1}\n",
        )
        .unwrap();
        assert_eq!(mutant.name, "a-mutant");
        assert_eq!(mutant.expect, Expect { failed: vec!["page".to_owned()], undecided: vec![] });
        assert_eq!((mutant.loses, mutant.undecided_points), (16_500, 0));
        assert_eq!(mutant.edit[0], Edit { file: "f".into(), replace: "a\n".into(), with: String::new() });
        assert_eq!(mutant.encode[0], Encode { file: "g".into(), bom: true, crlf: false, latin_1: true });
        assert_eq!(mutant.looks_at, Some(vec!["app/app.py:14".to_owned()]));
        assert_eq!(mutant.patience, Some(Duration::from_secs(60)));
    }

    #[test]
    fn to_lead_nowhere_is_said_and_to_say_nothing_is_another_thing() {
        let of = |more: &str| loaded(&format!("about: x\nlayers: [services]\nexpect: pass\n{more}")).unwrap().looks_at;
        assert_eq!(of("looks_at: []\n"), Some(Vec::new()));
        assert_eq!(of(""), None);
    }

    #[test]
    fn every_problem_shows_at_once() {
        let problems =
            loaded("about: x\nlayers: [services]\nexpect: pas\nedit:\n  - {file: f, replac: a}\nadd: x\n").unwrap_err();
        let text = problems.join("\n");
        for piece in ["unknown value `pas`", "unknown key `replac`", "`with` is missing", "`add` must be a list"] {
            assert!(text.contains(piece), "{piece} in:\n{text}");
        }
    }

    #[test]
    fn the_base_is_the_reference_unless_another_is_named() {
        assert_eq!(loaded("about: x\nlayers: [services]\nexpect: pass\n").unwrap().base.name, REFERENCE);
        let other = loaded("about: x\nbase: php\nlayers: [services]\nexpect: pass\n").unwrap();
        assert_eq!(other.base.name, "php");
        let unknown = loaded("about: x\nlayers: [services]\nbase: phq\nexpect: pass\n").unwrap_err().join("\n");
        assert_eq!(unknown, "3:7 there is no base `phq` (did you mean `php`?)");
    }

    #[test]
    fn a_mutant_has_no_name_of_a_base() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("php")).unwrap();
        std::fs::write(dir.path().join("php/mutant.yaml"), "about: x\nlayers: [services]\nexpect: pass\n").unwrap();
        let problems = load_all(dir.path(), &known()).unwrap_err();
        assert_eq!(problems[0].message, "a mutant must not have the name of a base");
    }

    #[test]
    fn what_must_come_of_it_is_said_once() {
        for (text, piece) in [
            ("about: x\nlayers: [services]\n", "not said"),
            ("about: x\nlayers: [services]\nexpect: pass\nexpect_fail: [page]\n", "said twice"),
            ("about: x\nlayers: [services]\nexpect: pass\nundecided: [page]\n", "said twice"),
        ] {
            assert!(loaded(text).unwrap_err().join("\n").contains(piece), "{text}");
        }
    }
}
