//! The model answers of a scenario: the folder `reference`, and what `bases/NAME.yaml` names beside it.
//!
//! Several, in styles of their own, so that nothing is tuned to one submission: mutants are taken from each, and each proves
//! the stand-ins that it runs on.

use std::path::{Path, PathBuf};

use super::tree::{self, Decoder, Problem};
use crate::expect::Place;

/// The name of the first one, which is a folder of its own.
pub const REFERENCE: &str = "reference";

/// A whole submission that earns every point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    pub name: String,
    /// One sentence, for developers.
    pub about: String,
    /// Its folder.
    pub submission: PathBuf,
    /// The layers that it has; empty is all of the scenario's.
    pub layers: Vec<String>,
    /// Observations that fail in it: what nobody asks of it, and it does otherwise.
    pub expect_observation: Vec<String>,
}

/// The model answers of the scenario in a folder, the reference first; none at all is no problem.
pub fn bases(scenario: &Path) -> Result<Vec<Base>, Vec<Problem>> {
    let mut all = Vec::new();
    let mut problems = Vec::new();
    let reference = scenario.join(REFERENCE);
    if reference.is_dir() {
        let about = "The reference, unchanged.".to_owned();
        all.push(Base { name: REFERENCE.to_owned(), about, submission: reference, ..Base::default() });
    }
    let entries = std::fs::read_dir(scenario.join("bases")).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_manifest(path)).collect();
    files.sort();
    for file in files {
        match load(&file) {
            Ok(base) if all.iter().any(|other: &Base| other.name == base.name) => {
                problems.push(Problem::new(&whole(&file), format!("there is another base `{}`", base.name)));
            }
            Ok(base) => all.push(base),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

fn is_manifest(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "yaml")
}

fn whole(file: &Path) -> Place {
    Place { file: file.display().to_string(), line: 0, column: 0 }
}

fn load(file: &Path) -> Result<Base, Vec<Problem>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| vec![Problem::new(&whole(file), format!("the base's manifest could not be read: {e}"))])?;
    let node = tree::read(&text, &file.display().to_string())?;
    let mut problems = Vec::new();
    let mut d = Decoder::new(&node, &mut problems);
    let (about, submission) = (d.required_text("about"), d.required_text("submission"));
    let (expect_observation, layers) = (d.text_list("expect_observation"), d.text_list("layers"));
    let folder = file.parent().unwrap_or(Path::new("."));
    if let Some(path) = submission.as_ref().filter(|path| !folder.join(path).is_dir()) {
        d.problem_with("submission", format!("there is no folder `{path}` beside it"), None);
    }
    d.finish();
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match (about, submission) {
        (Some(about), Some(path)) if problems.is_empty() => {
            Ok(Base { name, about, submission: folder.join(path), layers, expect_observation })
        }
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(manifests: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("reference")).unwrap();
        std::fs::create_dir_all(dir.path().join("bases/php")).unwrap();
        for (name, text) in manifests {
            std::fs::write(dir.path().join("bases").join(name), text).unwrap();
        }
        dir
    }

    fn wrong(manifests: &[(&str, &str)]) -> String {
        let problems = bases(scenario(manifests).path()).unwrap_err();
        problems.iter().map(|p| format!("{}: {}", p.at.line, p.message)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_reference_comes_first_and_a_path_may_lead_to_another_scenario() {
        let dir = scenario(&[
            ("php.yaml", "about: x\nsubmission: php\nexpect_observation: [a]\n"),
            ("again.yaml", "about: y\nsubmission: ../reference\n"),
            ("notes.txt", "no manifest"),
        ]);
        let all = bases(dir.path()).unwrap();
        assert_eq!(all.iter().map(|base| base.name.as_str()).collect::<Vec<_>>(), ["reference", "again", "php"]);
        assert_eq!(all[1].submission.canonicalize().unwrap(), all[0].submission.canonicalize().unwrap());
        assert_eq!((all[2].about.as_str(), all[2].expect_observation.as_slice()), ("x", ["a".to_owned()].as_slice()));
        assert_eq!(bases(&dir.path().join("bases/php")).unwrap(), [], "a scenario without any");
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said_with_its_line() {
        assert_eq!(wrong(&[("php.yaml", "about: x\nsubmission: phq\n")]), "2: there is no folder `phq` beside it");
        let several = wrong(&[("php.yaml", "submission: phq\ntitle: x\n")]);
        for piece in ["`about` is missing", "no folder `phq`", "unknown key `title`"] {
            assert!(several.contains(piece), "{piece} in: {several}");
        }
        let twice = wrong(&[("reference.yaml", "about: x\nsubmission: php\n")]);
        assert!(twice.contains("there is another base `reference`"), "{twice}");
    }
}
