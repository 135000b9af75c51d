//! Finds a scenario by its path or by the name of a shipped one.

use std::path::{Path, PathBuf};

use crate::text::Text;

/// Where the environment says that scenarios are.
const VARIABLE: &str = "IMPARCIAL_SCENARIOS";

/// The file of a scenario: a path to it or to its folder, else a name of `scenarios/NAME/scenario.yaml` under the current
/// folder, the folder in `IMPARCIAL_SCENARIOS`, or the source that this binary was built from. The error says what there is.
pub fn locate(name_or_path: &str) -> Result<PathBuf, Text> {
    let mut roots = vec![PathBuf::from("scenarios")];
    roots.extend(std::env::var_os(VARIABLE).map(PathBuf::from));
    roots.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"));
    locate_in(name_or_path, &roots)
}

fn locate_in(name_or_path: &str, roots: &[PathBuf]) -> Result<PathBuf, Text> {
    let path = Path::new(name_or_path);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if path.join("scenario.yaml").is_file() {
        return Ok(path.join("scenario.yaml"));
    }
    // A name has no slash: `../x` must not leave the roots.
    let plain = !name_or_path.is_empty() && path.components().count() == 1 && !name_or_path.contains(['/', '\\', '.']);
    if plain {
        let files = roots.iter().map(|root| root.join(name_or_path).join("scenario.yaml"));
        if let Some(file) = files.into_iter().find(|file| file.is_file()) {
            return Ok(file);
        }
    }
    let what = if path.is_dir() {
        Text::new(
            format!("`{name_or_path}` is a folder without a scenario.yaml"),
            format!("`{name_or_path}` es una carpeta sin scenario.yaml"),
        )
    } else if path.exists() {
        Text::new(format!("`{name_or_path}` is no file"), format!("`{name_or_path}` no es un archivo"))
    } else if plain {
        Text::new(format!("there is no scenario `{name_or_path}`"), format!("no hay ningún escenario `{name_or_path}`"))
    } else {
        Text::new(format!("there is no file `{name_or_path}`"), format!("no hay ningún archivo `{name_or_path}`"))
    };
    let names = names(roots);
    let hint = if names.is_empty() {
        Text::new(
            format!(
                "no scenarios were found; give the path of a file, or set {VARIABLE} to the folder that holds them"
            ),
            format!(
                "no se encontraron escenarios; indique la ruta de un archivo, o en {VARIABLE} la carpeta que los tiene"
            ),
        )
    } else {
        crate::nearest::text(name_or_path, names.iter().map(String::as_str))
    };
    Err(Text::new(format!("{}: {}", what.en, hint.en), format!("{}: {}", what.es, hint.es)))
}

/// The names of the scenarios that can be found.
fn names(roots: &[PathBuf]) -> Vec<String> {
    let entries = roots.iter().filter_map(|root| root.read_dir().ok()).flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("scenario.yaml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["seed", "compose-basics", "parcial-2-2019"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("scenario.yaml"), "imparcial: 1\n").unwrap();
        }
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        dir
    }

    #[test]
    fn by_name_by_folder_and_by_file() {
        let dir = shipped();
        let roots = [dir.path().to_owned()];
        let file = dir.path().join("seed/scenario.yaml");
        assert_eq!(locate_in("seed", &roots), Ok(file.clone()));
        assert_eq!(locate_in(file.to_str().unwrap(), &[]), Ok(file.clone()));
        assert_eq!(locate_in(dir.path().join("seed").to_str().unwrap(), &[]), Ok(file));
    }

    #[test]
    fn an_unknown_one_names_what_there_is() {
        let dir = shipped();
        let roots = [dir.path().to_owned()];
        let near = locate_in("sead", &roots).unwrap_err();
        assert_eq!(near.en, "there is no scenario `sead`: did you mean `seed`?");
        assert_eq!(near.es, "no hay ningún escenario `sead`: ¿quiso decir `seed`?");
        let all = locate_in("banana", &roots).unwrap_err();
        assert_eq!(all.en, "there is no scenario `banana`: one of `compose-basics`, `parcial-2-2019`, `seed`");
        assert_eq!(all.es, "no hay ningún escenario `banana`: uno de `compose-basics`, `parcial-2-2019`, `seed`");
        let file = locate_in("nowhere/x.yaml", &roots).unwrap_err();
        assert_eq!(file.en, "there is no file `nowhere/x.yaml`: one of `compose-basics`, `parcial-2-2019`, `seed`");
        let empty = dir.path().join("empty");
        assert!(
            locate_in(empty.to_str().unwrap(), &roots).unwrap_err().en.contains("a folder without a scenario.yaml")
        );
        assert!(locate_in("/dev/null", &roots).unwrap_err().en.starts_with("`/dev/null` is no file"));
        assert!(locate_in("x", &[]).unwrap_err().es.contains("IMPARCIAL_SCENARIOS"));
    }

    #[test]
    fn a_name_cannot_leave_the_roots() {
        let dir = shipped();
        let inside = dir.path().join("empty");
        assert!(locate_in("../seed", &[inside]).is_err());
    }
}
