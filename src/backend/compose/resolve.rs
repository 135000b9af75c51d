//! The compose tool's own reading of the file, in the lab; its answer rules.
//!
//! A version key that this generation of the tool refuses is taken out in a copy beside the file; nobody is blamed for it.

use std::time::Duration;

use crate::backend::BackendError;
use crate::exec::{Cmd, Output, Shell, ShellExt};
use crate::notice::{Level, Notice};
use crate::submission::compose::read_env;
use crate::text::Text;

use super::dialect;
use super::tool::Tool;

/// What the name of a copy ends with.
const COPY: &str = ".imparcial.yml";

/// What the tool made of the file.
pub struct Resolved {
    /// The tool, pointed at the file that it accepts.
    pub tool: Tool,
    pub valid: bool,
    /// Resolved YAML, or what was printed instead.
    pub output: String,
    pub notices: Vec<Notice>,
}

pub async fn resolve(tool: Tool, shell: &dyn Shell) -> Result<Resolved, BackendError> {
    let text = read(shell, &tool.file).await?;
    if text.contains("${") {
        let env = read(shell, &format!("{}/.env", tool.dir)).await.map(|env| read_env(&env)).unwrap_or_default();
        if let Some(plain) = dialect::unnested(&text, &env) {
            let mut resolved = accepted(&tool, shell, &text, plain).await?;
            if resolved.valid {
                resolved.notices.insert(0, notice(
                    "compose.variables_unnested",
                    "variables stand inside variables' defaults, which this compose tool reads only in part; a copy with their values was used",
                    "hay variables dentro de los valores por defecto de otras, que esta versión de la herramienta compose lee solo en parte; se usó una copia con sus valores",
                ));
                return Ok(resolved);
            }
            // Whoever is to be told what is wrong is told of the file that was handed in.
        }
    }
    accepted(&tool, shell, &text, text.clone()).await
}

/// The tool's answer to `current`, which stands for the file of this `text`.
async fn accepted(tool: &Tool, shell: &dyn Shell, text: &str, mut current: String) -> Result<Resolved, BackendError> {
    let mut notices = Vec::new();
    let copy = tool.with_file(format!("{}{COPY}", tool.file));
    // Each change is made at most once, and only for what the tool said.
    let (mut versioned, mut spelt) = (false, false);
    loop {
        let asked = if current == text { tool } else { &copy };
        if current != text {
            let write = Cmd::new(["tee", "--", &copy.file]).stdin(current.clone()).timeout(Duration::from_secs(10));
            shell.must(&write).await?;
        }
        let output = could_run(asked.config().await?)?;
        if output.ok() {
            return Ok(Resolved { tool: asked.clone(), valid: true, output: output.out(), notices });
        }
        // What is minded in a copy is minded in the file: nobody is blamed for what was changed.
        let refused = output.both().replace(&copy.file, &tool.file).replace(COPY, "");
        if !versioned && about_version(&refused) {
            versioned = true;
            current = without_version(&current);
            notices.push(notice(
                "compose.version_normalised",
                "the version key is one that this compose tool refuses; a copy without it was used",
                "esta versión de la herramienta compose rechaza la clave version; se usó una copia sin ella",
            ));
        } else if !spelt && dialect::minded(&refused) {
            spelt = true;
            current = dialect::rewritten(&current);
            notices.push(notice(
                "compose.respelt",
                "`restart: no` without quotes, or an empty command, is read by docker compose 2 and not by this tool; a copy was used in which it is written for both",
                "docker compose 2 admite `restart: no` sin comillas y un command vacío, pero esta herramienta no; se usó una copia escrita para ambas",
            ));
        } else {
            return Ok(Resolved { tool: tool.clone(), valid: false, output: refused, notices: Vec::new() });
        }
    }
}

async fn read(shell: &dyn Shell, path: &str) -> Result<String, BackendError> {
    Ok(shell.must(&Cmd::new(["cat", "--", path]).timeout(Duration::from_secs(10))).await?.out())
}

fn notice(id: &str, en: &str, es: &str) -> Notice {
    Notice::new(id, Level::Info, Text::new(en, es))
}

/// A tool that was killed or never began says nothing of the file.
pub fn could_run(output: Output) -> Result<Output, BackendError> {
    if output.status < 126 {
        return Ok(output);
    }
    let said = crate::sanitize::line(output.both().trim(), 200);
    Err(BackendError::Other(Text::new(
        format!("the compose tool could not do its work (status {}): {said}", output.status),
        format!("la herramienta compose no pudo hacer su trabajo (estado {}): {said}", output.status),
    )))
}

/// The tool's words where a version key, or a `name:` that only the other generation knows, is all that it minds.
fn about_version(message: &str) -> bool {
    let m = message.to_lowercase();
    (m.contains("version")
        && (m.contains("unsupported") || m.contains("is invalid") || m.contains("might be seeing this error")))
        || m.contains("'name' was unexpected")
        || m.contains("additional properties are not allowed ('name'")
        || m.contains("top level object must")
}

/// Without the top-level `version:` and `name:` lines; everything else as it stands, line for line.
fn without_version(text: &str) -> String {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(|line| {
            let key = line.split(':').next().unwrap_or_default().trim_end().trim_matches(['"', '\'']);
            let top = !line.starts_with([' ', '\t', '#']) && line.contains(':');
            if top && (key == "version" || key == "name") { "" } else { line }
        })
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    async fn told(reply: Reply) -> Result<Resolved, BackendError> {
        let shell = Scripted::default()
            .on(["which"], vec![Reply::out("/usr/bin/docker-compose")])
            .on(["cat"], vec![Reply::out("services: {}\n")])
            .on(["docker-compose"], vec![reply]);
        let shell: Arc<dyn Shell> = Arc::new(shell);
        let tool = Tool::find(shell.clone(), "/s".into(), "/s/docker-compose.yml".into(), "s".into()).await?;
        resolve(tool, shell.as_ref()).await
    }

    #[tokio::test]
    async fn a_tool_that_could_not_run_says_nothing_of_the_file() {
        for status in [126, 127, 134, 137, 143] {
            let told = told(Reply::fail(status, "Killed")).await;
            assert!(matches!(told, Err(BackendError::Other(text)) if text.en.contains("Killed")), "{status}");
        }
        let refused = told(Reply::fail(1, "ERROR: no such thing")).await.unwrap();
        assert!(!refused.valid && refused.output.contains("no such thing"));
    }

    #[tokio::test]
    async fn what_is_minded_without_the_version_counts() {
        let shell = Scripted::default()
            .on(["which"], vec![Reply::out("/usr/bin/docker-compose")])
            .on(["cat"], vec![Reply::out("name: a\nservices: {}\n")])
            .on(["tee"], vec![Reply::out("")])
            .on(
                ["docker-compose"],
                vec![
                    Reply::fail(1, "'name' was unexpected"),
                    Reply::fail(
                        1,
                        "ERROR: The Compose file './docker-compose.yml.imparcial.yml' is invalid because:\nx",
                    ),
                ],
            );
        let shell: Arc<dyn Shell> = Arc::new(shell);
        let tool = Tool::find(shell.clone(), "/s".into(), "/s/docker-compose.yml".into(), "s".into()).await.unwrap();
        let refused = resolve(tool, shell.as_ref()).await.unwrap();
        assert_eq!(refused.output, "ERROR: The Compose file './docker-compose.yml' is invalid because:\nx");
    }

    #[tokio::test]
    async fn a_refused_copy_is_judged_by_the_original() {
        let of = |replies: Vec<Reply>| async move {
            let file = "services:\n  app:\n    image: ${A:-${B:-x}}\n";
            let shell = Scripted::default()
                .on(["which"], vec![Reply::out("/usr/bin/docker-compose")])
                .on(["cat", "--", "/s/.env"], vec![Reply::fail(1, "no such file")])
                .on(["cat"], vec![Reply::out(file)])
                .on(["tee"], vec![Reply::out("")])
                .on(["docker-compose"], replies);
            let shell: Arc<dyn Shell> = Arc::new(shell);
            let tool = Tool::find(shell.clone(), "/s".into(), "/s/docker-compose.yml".into(), "s".into()).await?;
            resolve(tool, shell.as_ref()).await
        };
        let used = of(vec![Reply::out("services: {}")]).await.unwrap();
        assert!(used.valid && used.tool.file.ends_with(COPY));
        assert_eq!(used.notices.iter().map(|n| n.id.as_str()).collect::<Vec<_>>(), ["compose.variables_unnested"]);
        let read = of(vec![Reply::fail(1, "of the copy"), Reply::out("services: {}")]).await.unwrap();
        assert!(read.valid && read.notices.is_empty());
        assert_eq!(read.tool.file, "/s/docker-compose.yml");
        let refused = of(vec![Reply::fail(1, "of the copy"), Reply::fail(1, "of the file")]).await.unwrap();
        assert!(!refused.valid && refused.notices.is_empty());
        assert_eq!(refused.output, "of the file");
    }

    #[test]
    fn only_the_top_level_keys_go_and_lines_stay_where_they_are() {
        let text = "\u{feff}version: \"1\"\r\nservices:\n  app:\n    version: 2\n    image: x\n";
        assert_eq!(without_version(text), "\nservices:\n  app:\n    version: 2\n    image: x\n");
    }

    #[test]
    fn the_tools_words_about_versions_are_known() {
        assert!(about_version(
            "ERROR: Version in \"./docker-compose.yml\" is unsupported. You might be seeing this error because"
        ));
        assert!(about_version("ERROR: Version \"1\" in \"./docker-compose.yml\" is invalid."));
        assert!(!about_version("ERROR: yaml.scanner.ScannerError: mapping values are not allowed here"));
    }
}
