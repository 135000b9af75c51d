//! Applying a mutant to a fresh copy of its base. A text to replace must occur exactly once.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::manifest::{Encode, Mutant};

/// The manifest does not fit its base.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{mutant}: {file}: the text to replace occurs {times} times, and must occur once:\n{text}")]
    Matches { mutant: String, file: String, times: usize, text: String },
    #[error("{mutant}: {file}: {what}")]
    File { mutant: String, file: String, what: String },
}

/// Copies the mutant's base into `into` (which must be empty or absent) and changes it as the mutant says.
pub fn apply(mutant: &Mutant, into: &Path) -> Result<(), ApplyError> {
    let bad = |file: &str, what: String| ApplyError::File { mutant: mutant.name.clone(), file: file.to_owned(), what };
    let base = &mutant.base.submission;
    copy(base, into).map_err(|e| bad(&base.display().to_string(), format!("could not be copied: {e}")))?;
    let path = |file: &str| inside(into, file).ok_or_else(|| bad(file, "leads out of the submission".to_owned()));
    let io = |file: &str| {
        let file = file.to_owned();
        move |e: io::Error| bad(&file, e.to_string())
    };
    for rename in &mutant.rename {
        let (old, new) = (path(&rename.from)?, path(&rename.to)?);
        parents(&new).and_then(|()| fs::rename(&old, &new)).map_err(io(&rename.from))?;
    }
    for file in &mutant.remove {
        let gone = path(file)?;
        if gone.is_dir() { fs::remove_dir_all(&gone) } else { fs::remove_file(&gone) }.map_err(io(file))?;
    }
    for edit in &mutant.edit {
        let at = path(&edit.file)?;
        let text = fs::read_to_string(&at).map_err(io(&edit.file))?;
        let times = text.matches(&edit.replace).count();
        if times != 1 || edit.replace.is_empty() {
            let (mutant, file, text) = (mutant.name.clone(), edit.file.clone(), edit.replace.clone());
            return Err(ApplyError::Matches { mutant, file, times, text });
        }
        fs::write(&at, text.replacen(&edit.replace, &edit.with, 1)).map_err(io(&edit.file))?;
    }
    for append in &mutant.append {
        let at = path(&append.file)?;
        let text = fs::read_to_string(&at).map_err(io(&append.file))?;
        fs::write(&at, text + &append.content).map_err(io(&append.file))?;
    }
    for add in &mutant.add {
        let at = path(&add.file)?;
        if at.exists() {
            return Err(bad(&add.file, "is already there: edit it instead".to_owned()));
        }
        let content = match (&add.content, &add.from) {
            (Some(content), _) => content.clone().into_bytes(),
            (None, Some(from)) => fs::read(mutant.folder.join(from)).map_err(io(from))?,
            (None, None) => Vec::new(),
        };
        parents(&at).and_then(|()| fs::write(&at, content)).map_err(io(&add.file))?;
    }
    for encode in &mutant.encode {
        let at = path(&encode.file)?;
        let text = fs::read_to_string(&at).map_err(io(&encode.file))?;
        let bytes =
            encoded(&text, encode).ok_or_else(|| bad(&encode.file, "has characters beyond latin-1".to_owned()))?;
        fs::write(&at, bytes).map_err(io(&encode.file))?;
    }
    Ok(())
}

/// The text in the bytes that are asked for; `None` where latin-1 cannot hold it.
fn encoded(text: &str, how: &Encode) -> Option<Vec<u8>> {
    let mut text = if how.crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text.to_owned() };
    if how.bom {
        text.insert(0, '\u{feff}');
    }
    if how.latin_1 { text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect() } else { Some(text.into_bytes()) }
}

/// A path of the submission; never out of it.
fn inside(root: &Path, file: &str) -> Option<PathBuf> {
    let relative = Path::new(file);
    relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)).then(|| root.join(relative))
}

fn parents(of: &Path) -> io::Result<()> {
    of.parent().map_or(Ok(()), fs::create_dir_all)
}

fn copy(from: &Path, into: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let Ok(relative) = entry.path().strip_prefix(from) else { continue };
        let to = into.join(relative);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&to)?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::manifest::load;
    use super::*;

    struct World {
        folder: tempfile::TempDir,
    }

    impl World {
        fn new(manifest: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            fs::create_dir_all(root.join("reference/db")).unwrap();
            fs::create_dir_all(root.join("m")).unwrap();
            fs::write(root.join("reference/compose.yml"), "a: 1\nb: 1\n").unwrap();
            fs::write(root.join("reference/db/init.sql"), "cañón\n").unwrap();
            let text = format!("about: x\nlayers: [services]\nexpect: pass\n{manifest}");
            fs::write(root.join("m/mutant.yaml"), text).unwrap();
            Self { folder }
        }

        fn apply(&self) -> Result<PathBuf, String> {
            let root = self.folder.path();
            let into = root.join("out");
            let bases = crate::scenario::bases(root).unwrap();
            apply(&load(&root.join("m"), &bases).unwrap(), &into).map_err(|e| e.to_string())?;
            Ok(into)
        }
    }

    #[test]
    fn changes_a_copy_and_leaves_the_reference() {
        let world = World::new(
            "rename: [{from: compose.yml, to: deep/c.yml}]\nedit: [{file: deep/c.yml, replace: \"b: 1\", with: \"b: 2\"}]\n\
             append: [{file: deep/c.yml, content: \"c: 3\\n\"}]\nadd: [{file: new/x, content: hi}]\n\
             encode: [{file: deep/c.yml, bom: true, crlf: true}, {file: db/init.sql, charset: latin-1}]\n",
        );
        let out = world.apply().unwrap();
        assert_eq!(fs::read_to_string(out.join("deep/c.yml")).unwrap(), "\u{feff}a: 1\r\nb: 2\r\nc: 3\r\n");
        assert_eq!(fs::read(out.join("db/init.sql")).unwrap(), b"ca\xf1\xf3n\n");
        assert_eq!(fs::read_to_string(out.join("new/x")).unwrap(), "hi");
        assert!(!out.join("compose.yml").exists());
        let reference = world.folder.path().join("reference/compose.yml");
        assert_eq!(fs::read_to_string(reference).unwrap(), "a: 1\nb: 1\n");
    }

    #[test]
    fn a_text_must_match_exactly_once() {
        let twice = World::new("edit: [{file: compose.yml, replace: \": 1\", with: x}]\n").apply().unwrap_err();
        assert!(twice.contains("occurs 2 times"), "{twice}");
        let never = World::new("edit: [{file: compose.yml, replace: zzz, with: x}]\n").apply().unwrap_err();
        assert!(never.contains("m: compose.yml: the text to replace occurs 0 times"), "{never}");
    }

    #[test]
    fn a_file_that_is_not_there_or_is_outside_is_named() {
        let absent = World::new("remove: [nothing.txt]\n").apply().unwrap_err();
        assert!(absent.starts_with("m: nothing.txt: "), "{absent}");
        let outside = World::new("add: [{file: ../x, content: y}]\n").apply().unwrap_err();
        assert!(outside.contains("leads out of the submission"), "{outside}");
        let there = World::new("add: [{file: compose.yml, content: y}]\n").apply().unwrap_err();
        assert!(there.contains("already there"), "{there}");
    }
}
