//! A stack that the compose tool brought up on this machine's own engine: somebody else's, as far as imparcial is concerned.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use imparcial::docker::Engine;

use super::live;

/// A reference, on the stand-ins' own names, brought up by the compose tool; it goes with the value.
pub(crate) struct Up {
    folder: tempfile::TempDir,
    pub(crate) project: String,
}

impl Up {
    pub(crate) fn new(what: &str, reference: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        live::copy(Path::new(reference), folder.path());
        for file in ["docker-compose.yml", "app/Dockerfile"].map(|file| folder.path().join(file)) {
            let text = std::fs::read_to_string(&file).unwrap().replace(live::ON_THE_VOLUME, "");
            let text = text.replace("FROM python:3.6", "FROM imparcial/python:latest");
            std::fs::write(file, text.replace("image: mysql:5.7", "image: imparcial/mysql:latest")).unwrap();
        }
        let up = Self { folder, project: live::run_name(what).replace("dev-", "imparcial-") };
        up.compose(&["up", "-d", "--build"]);
        up
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn tool(&self, args: &[&str]) -> Output {
        let older = Command::new("docker-compose").arg("version").output().is_ok_and(|o| o.status.success());
        let mut tool = if older { Command::new("docker-compose") } else { Command::new("docker") };
        if !older {
            tool.arg("compose");
        }
        tool.args(["-p", &self.project]).args(args).current_dir(self.folder.path()).env("DOCKER_BUILDKIT", "0");
        tool.output().unwrap()
    }

    pub(crate) fn compose(&self, args: &[&str]) {
        let output = self.tool(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Every container by its name: which it is, and its last start.
    pub(crate) async fn containers(&self, engine: &Engine) -> BTreeMap<String, (String, f64)> {
        let all = engine.project_containers(&self.project).await.unwrap();
        all.into_iter().map(|c| (c.name, (c.id, c.started_at))).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.tool(&["down", "--volumes", "--rmi", "local", "--timeout", "0"]);
    }
}
