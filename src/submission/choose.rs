//! Which of several compose files counts, and why.
//!
//! In this order: one that can be read; one that builds something and has a database; not the swarm twin of another; with a
//! compose file's name; nearest to the root; the name that the compose tool itself looks for first. Where all of that is equal, nothing tells them apart.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use super::ComposeFile;
use super::compose::Parsed;
use crate::notice::{Level, Notice};
use crate::text::Text;

/// A compose file that could be the one.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) read: Result<Parsed, Box<Notice>>,
}

/// Whether a file of this name is a compose file whatever its content; the rank is how soon the tool looks for it.
pub(super) fn name_rank(path: &Path) -> Option<usize> {
    const OFFICIAL: [&str; 4] = ["docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"];
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    if let Some(rank) = OFFICIAL.iter().position(|official| *official == name) {
        return Some(rank);
    }
    let squeezed: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    if squeezed.contains("compose") {
        return Some(4);
    }
    ["swarm", "stack"].iter().any(|word| squeezed.contains(word)).then_some(5)
}

/// Files that the tool lays over another one.
pub(super) fn is_override(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.contains(".override.") || name.contains("-override.") || name.contains("_override.")
}

/// What orders candidates: the smaller, the better.
type Key = (bool, Reverse<u8>, bool, bool, usize, usize);

fn key(candidate: &Candidate) -> Key {
    let file = candidate.read.as_ref().ok().map(|parsed| &parsed.file);
    (
        file.is_none(),
        Reverse(file.map_or(0, fitness)),
        file.is_some_and(is_swarm) || names_swarm(&candidate.path),
        name_rank(&candidate.path).is_none(),
        candidate.path.components().count(),
        name_rank(&candidate.path).unwrap_or(6),
    )
}

/// Two for a build, one for a database.
fn fitness(file: &ComposeFile) -> u8 {
    let builds = file.services.iter().any(|s| s.build.is_some());
    let stores = file
        .services
        .iter()
        .any(|s| s.image.as_deref().is_some_and(is_store) || s.environment.keys().any(|k| is_store_variable(k)));
    u8::from(builds) * 2 + u8::from(stores)
}

fn is_store(image: &str) -> bool {
    ["mysql", "mariadb", "percona", "postgres", "mongo", "redis"].iter().any(|name| image.contains(name))
}

fn is_store_variable(name: &str) -> bool {
    ["MYSQL_ROOT", "MARIADB_ROOT", "POSTGRES_PASSWORD", "MONGO_INITDB"].iter().any(|prefix| name.starts_with(prefix))
}

fn names_swarm(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.to_string_lossy().to_ascii_lowercase();
        name.contains("swarm") || name.contains("stack")
    })
}

/// Written for `docker stack deploy`.
fn is_swarm(file: &ComposeFile) -> bool {
    let overlay = file.networks.values().any(|network| network["driver"] == "overlay");
    overlay || file.services.iter().any(|s| s.raw["deploy"].get("placement").is_some())
}

/// Puts the one that counts first; the notice explains the choice, or says that there was none to make.
pub(super) fn choose(mut candidates: Vec<Candidate>) -> (Vec<Candidate>, Option<Notice>, bool) {
    candidates.sort_by_key(|candidate| (key(candidate), candidate.path.clone()));
    let Some((first, rest)) = candidates.split_first() else { return (candidates, None, false) };
    let Some(second) = rest.first() else { return (candidates, None, true) };
    let others: Vec<String> = rest.iter().map(|c| format!("`{}`", c.path.display())).collect();
    let chosen = first.path.display();
    let (a, b) = (key(first), key(second));
    if a == b {
        let equals: Vec<String> =
            candidates.iter().filter(|c| key(c) == a).map(|c| format!("`{}`", c.path.display())).collect();
        let text = Text::new(
            format!(
                "{} compose files fit equally well: {}; choose one with `--compose-file PATH`",
                equals.len(),
                few(&equals)
            ),
            format!(
                "{} archivos compose sirven por igual: {}; elija uno con `--compose-file RUTA`",
                equals.len(),
                few(&equals)
            ),
        );
        return (candidates, Some(Notice::new("submission.ambiguous_compose", Level::Problem, text)), false);
    }
    let (en, es) = if a.0 != b.0 {
        ("the others cannot be read as compose files", "los demás no se pueden leer como archivos compose")
    } else if a.1 != b.1 {
        match a.1.0 {
            3 => ("it alone builds something and has a database", "solo él construye algo y tiene una base de datos"),
            2 => ("it alone builds something", "solo él construye algo"),
            _ => ("it alone has a database", "solo él tiene una base de datos"),
        }
    } else if a.2 != b.2 {
        ("the others are written for a swarm", "los demás están escritos para un swarm")
    } else if a.3 != b.3 {
        ("it alone has a compose file's name", "solo él tiene nombre de archivo compose")
    } else if a.4 != b.4 {
        ("it is nearest to the root", "es el más cercano a la raíz")
    } else {
        ("its name is the one that docker-compose looks for first", "su nombre es el que docker-compose busca primero")
    };
    let others = few(&others);
    let text = Text::new(
        format!("`{chosen}` is the compose file that counts: {en}; not used: {others}"),
        format!("cuenta el archivo compose `{chosen}`: {es}; sin usar: {others}"),
    );
    (candidates, Some(Notice::new("submission.chosen_compose", Level::Info, text)), true)
}

/// The first few of them.
fn few(names: &[String]) -> String {
    const MANY: usize = 8;
    let shown = names.iter().take(MANY).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MANY { format!("{shown}, … (+{})", names.len() - MANY) } else { shown }
}
