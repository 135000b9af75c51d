//! Outcomes that are known already, a small file each. What cannot be read is as good as not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Outcome;

/// More are not kept; those that were not asked for the longest go first.
const MOST: usize = 200;
const LARGEST: u64 = 4 << 20;

pub(super) fn get(folder: &Path, key: &str) -> Option<Outcome> {
    let path = path(folder, key);
    let about = fs::metadata(&path).ok().filter(|about| about.is_file() && about.len() <= LARGEST)?;
    let outcome = serde_json::from_slice(&fs::read(&path).ok()?);
    let outcome = outcome.inspect_err(|error| tracing::debug!(%error, path = %path.display(), "not read")).ok()?;
    // It is in use: an hour's exactness is enough to tell which are not.
    let old = about.modified().ok().and_then(|when| when.elapsed().ok()).is_some_and(|age| age.as_secs() > 3600);
    if old {
        let touched =
            fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        drop(touched);
    }
    Some(outcome)
}

/// Keeps an outcome; that it could not be kept is nobody's loss.
pub(super) fn put(folder: &Path, key: &str, outcome: &Outcome) {
    if let Err(error) = write(folder, key, outcome) {
        tracing::debug!(%error, folder = %folder.display(), "what was read of a Vagrantfile is not kept");
    }
}

fn write(folder: &Path, key: &str, outcome: &Outcome) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, outcome)?;
    // Whole or not at all, whoever else writes it now.
    file.persist(path(folder, key)).map_err(|error| error.error)?;
    shorten(folder);
    Ok(())
}

fn shorten(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<(SystemTime, PathBuf)> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    let over = all.len().saturating_sub(MOST);
    all.sort();
    for (_, path) in all.into_iter().take(over) {
        drop(fs::remove_file(path));
    }
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_got_and_what_is_garbled_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("kept");
        assert_eq!(get(&folder, "a"), None);
        put(&folder, "a", &Outcome::Said("x".into()));
        put(&folder, "b", &Outcome::Flooded);
        assert_eq!((get(&folder, "a"), get(&folder, "b")), (Some(Outcome::Said("x".into())), Some(Outcome::Flooded)));
        for garbage in ["", "{}", "{\"Said\": 3}"] {
            fs::write(path(&folder, "a"), garbage).unwrap();
            assert_eq!(get(&folder, "a"), None);
        }
        put(&dir.path().join("kept/a.json"), "c", &Outcome::Ate);
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..MOST {
            put(dir.path(), &n.to_string(), &Outcome::Ended);
        }
        let old = fs::File::options().append(true).open(path(dir.path(), "7")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        put(dir.path(), "new", &Outcome::Ended);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), MOST);
        assert!(get(dir.path(), "7").is_none() && get(dir.path(), "new").is_some());
    }
}
