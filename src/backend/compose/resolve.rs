//! The compose tool's own reading of the file, in the lab; its answer rules.
//!
//! A version key that this generation of the tool refuses is taken out in a copy beside the file; nobody is blamed for it.

use std::time::Duration;

use crate::backend::BackendError;
use crate::exec::{Cmd, Output, Shell, ShellExt};
use crate::notice::{Level, Notice};
use crate::text::Text;

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
    let output = could_run(tool.config().await?)?;
    if output.ok() {
        return Ok(Resolved { tool, valid: true, output: output.out(), notices: Vec::new() });
    }
    let mut refused = output.both();
    if about_version(&refused) {
        let text = shell.must(&Cmd::new(["cat", "--", &tool.file]).timeout(Duration::from_secs(10))).await?.out();
        let normal = tool.with_file(format!("{}{COPY}", tool.file));
        let write =
            Cmd::new(["tee", "--", &normal.file]).stdin(without_version(&text)).timeout(Duration::from_secs(10));
        shell.must(&write).await?;
        let again = could_run(normal.config().await?)?;
        if again.ok() {
            let notice = Notice {
                id: "compose.version_normalised".to_owned(),
                level: Level::Info,
                text: Text::new(
                    "the version key is one that this compose tool refuses; a copy without it was used",
                    "esta versión de la herramienta compose rechaza la clave version; se usó una copia sin ella",
                ),
                at: None,
                service: None,
            };
            return Ok(Resolved { tool: normal, valid: true, output: again.out(), notices: vec![notice] });
        }
        // The version is nobody's fault: what is minded without it is.
        refused = again.both().replace(&normal.file, &tool.file).replace(COPY, "");
    }
    Ok(Resolved { tool, valid: false, output: refused, notices: Vec::new() })
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
