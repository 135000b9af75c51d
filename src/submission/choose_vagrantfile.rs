//! Which of several Vagrantfiles counts: the one nearest to the root; of two as near, the one with playbooks beside it; else
//! the first by name, which is also the order in which Vagrant looks.

use std::path::{Path, PathBuf};

use crate::notice::{Level, Notice};
use crate::text::Text;

/// Folders that playbooks are kept in.
const PLAYBOOKS: [&str; 4] = ["playbooks", "playbook", "ansible", "provisioning"];
/// So many others are named.
const NAMED: usize = 8;

/// Puts the one that counts first; the notice says why it does, where there are others.
pub(super) fn choose(root: &Path, mut found: Vec<PathBuf>) -> (Vec<PathBuf>, Option<Notice>) {
    let depth = |path: &PathBuf| path.components().count();
    let alone = |path: &PathBuf| !has_playbooks(root, path);
    found.sort_by_cached_key(|path| (depth(path), alone(path), path.clone()));
    let [first, second, ..] = found.as_slice() else { return (found, None) };
    let (en, es) = if depth(first) < depth(second) {
        ("it is nearest to the root", "es el más cercano a la raíz")
    } else if alone(first) != alone(second) {
        ("it has playbooks beside it", "tiene playbooks al lado")
    } else {
        (
            "it is the first by name of those as near to the root",
            "es el primero por nombre de los igual de cercanos a la raíz",
        )
    };
    let mut others: Vec<String> = found[1..].iter().take(NAMED).map(|path| format!("`{}`", path.display())).collect();
    if found.len() > NAMED + 1 {
        others.push(format!("… (+{})", found.len() - NAMED - 1));
    }
    let (chosen, others) = (first.display(), others.join(", "));
    let text = Text::new(
        format!("`{chosen}` is the Vagrantfile that counts: {en}; not used: {others}"),
        format!("cuenta el Vagrantfile `{chosen}`: {es}; sin usar: {others}"),
    );
    let said = Notice::new("submission.chosen_vagrantfile", Level::Info, text);
    (found, Some(said))
}

fn has_playbooks(root: &Path, path: &Path) -> bool {
    let folder = root.join(path.parent().unwrap_or(Path::new("")));
    PLAYBOOKS.iter().any(|name| folder.join(name).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(folders: &[&str], found: &[&str]) -> (String, String) {
        let dir = tempfile::tempdir().unwrap();
        for folder in folders {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let (found, said) = choose(dir.path(), found.iter().map(PathBuf::from).collect());
        (found[0].display().to_string(), said.map(|n| n.text.en).unwrap_or_default())
    }

    #[test]
    fn the_nearest_counts_then_the_one_with_playbooks_then_the_first() {
        assert_eq!(chosen(&[], &["a/Vagrantfile"]), ("a/Vagrantfile".into(), String::new()));
        let (path, why) = chosen(&["b/old/playbooks"], &["b/old/Vagrantfile", "z/Vagrantfile"]);
        assert_eq!((path.as_str(), why.contains("nearest")), ("z/Vagrantfile", true), "{why}");
        let (path, why) = chosen(&["b/playbooks"], &["a/Vagrantfile", "b/Vagrantfile"]);
        assert_eq!((path.as_str(), why.contains("playbooks")), ("b/Vagrantfile", true), "{why}");
        let (path, why) = chosen(&[], &["vagrantfile", "Vagrantfile"]);
        assert_eq!((path.as_str(), why.contains("`vagrantfile`")), ("Vagrantfile", true), "{why}");
    }
}
