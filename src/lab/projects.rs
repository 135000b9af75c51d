//! The compose projects that run on an engine, and which of them is a submission's: for a run that attaches to one.
//!
//! Both generations of the tool label every container with its project, the folder and the files that it was made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use bollard::query_parameters::ListContainersOptionsBuilder;

use crate::docker::container::{ONE_OFF, PROJECT};
use crate::docker::{Engine, EngineError};
use crate::nearest;
use crate::owner::RUN;
use crate::sanitize;
use crate::submission::Submission;
use crate::text::Text;

const FOLDER: &str = "com.docker.compose.project.working_dir";
const FILES: &str = "com.docker.compose.project.config_files";

/// A compose project as its containers' labels tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    /// Where the tool was run; the older ones say neither this nor the files.
    pub folder: Option<PathBuf>,
    /// Absolute, as far as the labels tell.
    pub files: BTreeSet<PathBuf>,
    pub running: usize,
    pub containers: usize,
}

impl Project {
    /// `exam (2 of 3 containers run, of /home/ana/exam)`
    fn shown(&self) -> Text {
        let (name, running, all) = (line(&self.name), self.running, self.containers);
        let at = |of: &str| {
            self.folder.as_ref().map(|at| format!(", {of} {}", line(&at.to_string_lossy()))).unwrap_or_default()
        };
        Text::new(
            format!("`{name}` ({running} of {all} containers run{})", at("of")),
            format!("`{name}` (corren {running} de {all} contenedores{})", at("de")),
        )
    }

    /// Whether it was made from this compose file, or, where its labels do not name the files, in this one's folder.
    pub fn is_of(&self, file: &Path) -> bool {
        if !self.files.is_empty() {
            return self.files.contains(file);
        }
        self.folder.is_some() && self.folder.as_deref() == file.parent()
    }

    /// Whether it was made from something inside of this folder.
    fn is_in(&self, root: &Path) -> bool {
        self.folder.iter().chain(&self.files).any(|path| path.starts_with(root))
    }
}

/// Every compose project of an engine that is no run of ours, in the order of their names.
///
/// # Errors
/// The engine does not list its containers.
pub async fn list(engine: &Engine) -> Result<Vec<Project>, EngineError> {
    let filter = HashMap::from([("label", vec![PROJECT.to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filter).build();
    let listed = engine.docker().list_containers(Some(options)).await;
    let listed = listed.map_err(|e| engine.explain("list the containers of compose projects", &e))?;
    let running = |state: Option<String>| state.is_some_and(|s| s == "running");
    let containers =
        listed.into_iter().map(|c| (c.labels.unwrap_or_default(), running(c.state.map(|s| s.to_string()))));
    let mut projects = gather(containers);
    for project in &mut projects {
        project.folder = project.folder.take().map(real);
        project.files = std::mem::take(&mut project.files).into_iter().map(real).collect();
    }
    Ok(projects)
}

/// Links are followed where they lead somewhere: a submission's folder is named by where it really is.
fn real(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// From each container's labels, and whether it runs.
fn gather(containers: impl IntoIterator<Item = (HashMap<String, String>, bool)>) -> Vec<Project> {
    let mut projects: BTreeMap<String, Project> = BTreeMap::new();
    for (labels, running) in containers {
        // What a run made goes with it, perhaps while we look.
        if labels.contains_key(RUN) {
            continue;
        }
        let Some(name) = labels.get(PROJECT).filter(|name| !name.is_empty()) else { continue };
        let project =
            projects.entry(name.clone()).or_insert_with(|| Project { name: name.clone(), ..Project::default() });
        if !labels.get(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            project.containers += 1;
            project.running += usize::from(running);
        }
        let folder = labels.get(FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let files = labels.get(FILES).into_iter().flat_map(|files| files.split(',')).filter(|file| !file.is_empty());
        // Relative ones start from where the tool was run.
        project.files.extend(files.filter_map(|file| {
            let file = Path::new(file);
            if file.is_absolute() { Some(file.to_owned()) } else { Some(folder.as_ref()?.join(file)) }
        }));
        project.folder = project.folder.take().or(folder);
    }
    projects.into_values().collect()
}

/// The project that a submission runs as: the one that is named, else the one that was made from its compose file, else
/// from its folder.
///
/// # Errors
/// None or several could be meant, or nothing of it runs: what was looked for, what there is, and what to do.
pub fn choose(projects: &[Project], submission: &Submission, named: Option<&str>) -> Result<Project, Text> {
    if let Some(name) = named {
        return match projects.iter().find(|project| project.name == name) {
            Some(project) => up(project),
            None => Err(no_such(projects, name)),
        };
    }
    let root = &submission.root;
    let file = root.join(submission.compose_path());
    // Of one's own runs in one folder, only what still runs is meant.
    let alive = |project: &&Project| project.running > 0;
    let mine = |found: &dyn Fn(&Project) -> bool| projects.iter().filter(|p| found(p)).collect::<Vec<_>>();
    let mut all = mine(&|project| project.is_of(&file));
    if all.is_empty() {
        all = mine(&|project| project.is_in(root));
    }
    let alive: Vec<&Project> = all.iter().copied().filter(alive).collect();
    match (alive.as_slice(), all.as_slice()) {
        ([project], _) | ([], [project]) => up(project),
        ([], []) => Err(none(projects, submission)),
        ([], several) | (several, _) => Err(many(several, root)),
    }
}

fn up(project: &Project) -> Result<Project, Text> {
    if project.running > 0 {
        return Ok(project.clone());
    }
    let name = line(&project.name);
    Err(Text::new(
        format!(
            "nothing of the project `{name}` runs, and `--attach` starts nothing: bring it up first, or grade without `--attach`"
        ),
        format!(
            "nada del proyecto `{name}` está corriendo, y `--attach` no arranca nada: levántelo primero, o califique sin `--attach`"
        ),
    ))
}

fn no_such(projects: &[Project], name: &str) -> Text {
    let hint = nearest::text(name, projects.iter().map(|p| p.name.as_str()));
    let (name, there) = (line(name), there(projects));
    Text::new(
        format!("no compose project `{name}` runs on this machine's engine ({}); {}", line(&hint.en), there.en),
        format!(
            "ningún proyecto compose `{name}` corre en el motor de esta máquina ({}); {}",
            line(&hint.es),
            there.es
        ),
    )
}

fn none(projects: &[Project], submission: &Submission) -> Text {
    let (root, there) = (line(&submission.root.to_string_lossy()), there(projects));
    let near = nearest::nearest(&submission.folder, projects.iter().map(|p| p.name.as_str()));
    let meant = |word: &str| near.map(|name| format!(" ({word} `--attach {}`?)", line(name))).unwrap_or_default();
    Text::new(
        format!(
            "no compose project on this machine's engine was brought up from {root}; {}; name it with `--attach PROJECT`{}",
            there.en,
            meant("perhaps")
        ),
        format!(
            "ningún proyecto compose del motor de esta máquina se levantó desde {root}; {}; nómbrelo con `--attach PROYECTO`{}",
            there.es,
            meant("¿quizá")
        ),
    )
}

fn many(several: &[&Project], root: &Path) -> Text {
    let (root, first) = (line(&root.to_string_lossy()), several.first().map(|p| line(&p.name)).unwrap_or_default());
    let there = shown(several.iter().copied());
    Text::new(
        format!(
            "several compose projects were brought up from {root}: {}; say which, such as `--attach {first}`",
            there.en
        ),
        format!(
            "varios proyectos compose se levantaron desde {root}: {}; diga cuál, por ejemplo `--attach {first}`",
            there.es
        ),
    )
}

/// What there is.
fn there(projects: &[Project]) -> Text {
    if projects.is_empty() {
        return Text::new(
            "there is no compose project at all: bring it up first",
            "no hay ningún proyecto compose: levántelo primero",
        );
    }
    let all = shown(projects);
    Text::new(format!("there are: {}", all.en), format!("los que hay: {}", all.es))
}

fn shown<'p>(projects: impl IntoIterator<Item = &'p Project>) -> Text {
    let all: Vec<Text> = projects.into_iter().map(Project::shown).collect();
    let join = |of: fn(&Text) -> &String| all.iter().map(|t| of(t).as_str()).collect::<Vec<_>>().join(", ");
    Text::new(join(|t| &t.en), join(|t| &t.es))
}

fn line(text: &str) -> String {
    sanitize::line(text, 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::ComposeFile;

    fn container(project: &str, folder: &str, files: &str, running: bool) -> (HashMap<String, String>, bool) {
        let labels = [(PROJECT, project), (FOLDER, folder), (FILES, files)];
        (labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(), running)
    }

    fn submission(root: &str, file: &str) -> Submission {
        let compose = Some(ComposeFile { path: file.into(), ..ComposeFile::default() });
        let folder = root.rsplit('/').next().unwrap_or_default().to_owned();
        Submission { root: root.into(), folder, compose, ..Submission::default() }
    }

    fn chosen(projects: &[Project], submission: &Submission, named: Option<&str>) -> String {
        match choose(projects, submission, named) {
            Ok(project) => project.name,
            Err(text) => text.en,
        }
    }

    #[test]
    fn a_project_is_gathered_from_its_containers_and_runs_of_ours_are_none() {
        let mut ours = container("imparcial-r", "/s", "docker-compose.yml", true);
        ours.0.insert(RUN.to_owned(), "r".to_owned());
        let old = (HashMap::from([(PROJECT.to_owned(), "old".to_owned())]), false);
        let all = [
            container("exam", "/s", "docker-compose.yml", true),
            container("exam", "/s", "/x/b.yml", false),
            ours,
            old,
        ];
        let exam = Project {
            name: "exam".into(),
            folder: Some("/s".into()),
            files: BTreeSet::from(["/s/docker-compose.yml".into(), "/x/b.yml".into()]),
            running: 1,
            containers: 2,
        };
        let old = Project { name: "old".into(), containers: 1, ..Project::default() };
        assert_eq!(gather(all), [exam, old]);
    }

    #[test]
    fn it_is_found_by_its_file_and_then_by_its_folder() {
        let all = gather([
            container("one", "/s", "docker-compose.yml", true),
            container("two", "/s", "other.yml", true),
            container("three", "/t", "/s/deploy/docker-compose.yml", true),
            container("four", "/u/v", "docker-compose.yml", true),
        ]);
        assert_eq!(chosen(&all, &submission("/s", "docker-compose.yml"), None), "one");
        assert_eq!(chosen(&all, &submission("/s", "deploy/docker-compose.yml"), None), "three");
        assert_eq!(chosen(&all, &submission("/u", "docker-compose.yml"), None), "four");
        assert_eq!(chosen(&all, &submission("/elsewhere", "docker-compose.yml"), Some("two")), "two");
    }

    #[test]
    fn none_and_several_say_what_there_is() {
        let all = gather([
            container("exam", "/s", "docker-compose.yml", true),
            container("copy", "/s", "docker-compose.yml", true),
            container("gone", "/g", "docker-compose.yml", false),
        ]);
        let several = chosen(&all, &submission("/s", "docker-compose.yml"), None);
        assert!(
            several.contains("`copy` (1 of 1 containers run, of /s), `exam`") && several.contains("`--attach copy`"),
            "{several}"
        );
        let none = chosen(&all, &submission("/other/exams", "docker-compose.yml"), None);
        assert!(
            none.contains("from /other/exams; there are: `copy`") && none.contains("(perhaps `--attach exam`?)"),
            "{none}"
        );
        let typo = chosen(&all, &submission("/s", "docker-compose.yml"), Some("exma"));
        assert!(typo.contains("no compose project `exma`") && typo.contains("did you mean `exam`?"), "{typo}");
        let gone = chosen(&all, &submission("/g", "docker-compose.yml"), None);
        assert!(gone.contains("nothing of the project `gone` runs"), "{gone}");
        assert!(chosen(&[], &submission("/s", "x.yml"), None).contains("no compose project at all"));
    }

    #[test]
    fn of_two_in_one_folder_the_one_that_runs_is_meant() {
        let all = gather([
            container("old", "/s", "docker-compose.yml", false),
            container("new", "/s", "docker-compose.yml", true),
        ]);
        assert_eq!(chosen(&all, &submission("/s", "docker-compose.yml"), None), "new");
    }
}
