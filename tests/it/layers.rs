//! The layers that labs share, and a lab that writes into them: a shelf of the tests' own, so that nobody else's is touched.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use imparcial::docker::Engine;
use imparcial::exec::{Cmd, ShellExt};
use imparcial::lab::setup::{STEPS, Seen, Step, World};
use imparcial::lab::{Lab, LabSpec, Shelf, registry};

use crate::live::{engine, run_name, spec};

/// A shelf with one small stand-in on it. What it made goes with it.
struct OwnShelf {
    shelf: Shelf,
    state: tempfile::TempDir,
}

impl OwnShelf {
    fn new(what: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let name = format!("imparcial-{}", run_name(what));
        let shelf = Shelf {
            label: format!("imparcial.test.{name}"),
            name,
            seals: state.path().join("layers"),
            images: vec!["debian".to_owned()],
        };
        Self { shelf, state }
    }

    fn world(&self) -> World {
        World::of_host(false).with_shelf(self.shelf.clone())
    }

    fn spec(&self, what: &str, submission: &Path) -> LabSpec {
        LabSpec { shelf: self.shelf.clone(), mirrors: vec![registry::MIRROR.to_owned()], ..spec(what, submission) }
    }
}

impl Drop for OwnShelf {
    fn drop(&mut self) {
        let filter = format!("label={}", self.shelf.label);
        let docker = |args: &[&str]| std::process::Command::new("docker").args(args).output().unwrap();
        docker(&["rm", "-f", "-v", &self.shelf.name]);
        let volumes = docker(&["volume", "ls", "-q", "--filter", &filter]).stdout;
        for volume in String::from_utf8_lossy(&volumes).lines() {
            docker(&["volume", "rm", volume]);
        }
        assert!(self.state.path().exists());
    }
}

fn step() -> &'static Step {
    STEPS.iter().find(|step| step.name == "layers").unwrap()
}

struct Quiet;

impl imparcial::lab::setup::Progress for Quiet {
    fn begin(&self, _: &str, _: &imparcial::text::Text) {}
    fn line(&self, _: &str, _: &str) {}
    fn images(&self, _: usize) {}
    fn image(&self, _: &str, _: &imparcial::backend::getting::At) {}
    fn done(&self, _: &str, _: &imparcial::text::Text, _: Duration) {}
}

async fn missing(world: &World) -> String {
    match step().look(world).await.unwrap() {
        Seen::Missing(text) => text.en,
        Seen::There(text) => panic!("it is there: {}", text.en),
    }
}

/// Whether the lab's engine has layers that nothing was pulled for.
async fn is_given(host: &Engine, lab: &Lab) -> bool {
    let options = None::<bollard::query_parameters::InspectContainerOptions>;
    let found = host.docker().inspect_container(lab.name(), options).await.unwrap();
    found.mounts.unwrap_or_default().iter().any(|mount| mount.destination.as_deref() == Some("/layers"))
}

async fn out(lab: &Lab, argv: &[&str]) -> String {
    lab.shell().must(&Cmd::new(argv.iter().copied()).timeout(Duration::from_secs(60))).await.unwrap().out()
}

/// Makes the layers writable in a lab, as its root may, and appends to a program of the stand-in.
async fn write_into(lab: &Lab) {
    out(lab, &["mount", "-o", "remount,bind,rw", "/layers"]).await;
    let script = "f=$(ls /layers/overlay2/*/diff/usr/bin/env | head -n 1) && touch -r \"$f\" /tmp/when \
                  && echo '# mine' >> \"$f\" && touch -r /tmp/when \"$f\"";
    out(lab, &["bash", "-c", script]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_a_lab_wrote_into_are_given_to_none_and_made_anew() {
    let Some(host) = engine().await else { return };
    let handed_in = tempfile::tempdir().unwrap();
    fs::write(handed_in.path().join("docker-compose.yml"), "services: {a: {image: debian}}\n").unwrap();
    let own = OwnShelf::new("shelf");
    let world = own.world();
    assert!(missing(&world).await.contains("unpacked for all labs"));
    step().make(&world, &Quiet).await.unwrap();
    assert!(matches!(step().look(&world).await.unwrap(), Seen::There(_)));

    // Two labs at once: one of them writes into what both stand on.
    let (clean, hostile) = tokio::join!(
        Lab::start(own.spec("shelf-clean", handed_in.path())),
        Lab::start(own.spec("shelf-hostile", handed_in.path()))
    );
    let (clean, hostile) = (clean.unwrap(), hostile.unwrap());
    for lab in [&clean, &hostile] {
        assert_eq!(lab.notices().count(), 0);
        assert!(is_given(&host, lab).await);
        // Whoever was there before: nothing of an image is fetched once more.
        let pulled = out(lab, &["docker", "pull", "imparcial/debian:current"]).await;
        assert!(pulled.contains("Digest: ") && !pulled.contains("Pull complete"), "{pulled}");
        // To use them is not to change them.
        out(lab, &["docker", "run", "--rm", "imparcial/debian:current", "true"]).await;
        assert_eq!(lab.tampered().await.unwrap(), None);
    }
    write_into(&hostile).await;
    for lab in [&clean, &hostile] {
        let text = lab.tampered().await.unwrap().unwrap();
        assert!(text.en.contains("(overlay2/") && text.en.contains("proves nothing"), "{}", text.en);
        lab.down().await.unwrap();
    }

    // The next one is not given them, says so, and works.
    let began = Instant::now();
    let next = Lab::start(own.spec("shelf-next", handed_in.path())).await.unwrap();
    eprintln!("a lab without the layers was up after {:?}", began.elapsed());
    assert!(!is_given(&host, &next).await);
    let said: Vec<_> = next.notices().map(|notice| (notice.id.as_str(), notice.text.en.as_str())).collect();
    assert!(matches!(said[..], [("lab.layers", text)] if text.contains("are not as they were filled (overlay2/")));
    let pulled = out(&next, &["docker", "pull", "imparcial/debian:current"]).await;
    assert!(pulled.contains(": Pull complete"), "{pulled}");
    out(&next, &["docker", "run", "--rm", "imparcial/debian:current", "true"]).await;
    assert_eq!(next.tampered().await.unwrap(), None);
    next.down().await.unwrap();

    // Set-up says what is wrong, and heals it.
    let said = missing(&world).await;
    assert!(said.contains("wrote into the layers") && said.contains("(overlay2/"), "{said}");
    step().make(&world, &Quiet).await.unwrap();
    assert!(matches!(step().look(&world).await.unwrap(), Seen::There(_)));
    let healed = Lab::start(own.spec("shelf-healed", handed_in.path())).await.unwrap();
    assert!(is_given(&host, &healed).await);
    assert_eq!(healed.notices().count(), 0);
    healed.down().await.unwrap();
}

/// The second run on a host fetches nothing: whatever a run may pull, a lab has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lab_of_this_installation_has_every_stand_in_before_it_pulls() {
    if engine().await.is_none() {
        return;
    }
    let handed_in = tempfile::tempdir().unwrap();
    fs::write(handed_in.path().join("docker-compose.yml"), "services: {a: {image: debian}}\n").unwrap();
    let mirrors = vec![registry::MIRROR.to_owned()];
    let lab = Lab::start(LabSpec { mirrors, ..spec("warm", handed_in.path()) }).await.unwrap();
    assert_eq!(lab.notices().count(), 0, "{:?}", lab.notices().collect::<Vec<_>>());
    for image in &lab.shelf().images {
        let pulled = out(&lab, &["docker", "pull", &format!("imparcial/{image}:current")]).await;
        assert!(pulled.contains("Digest: ") && !pulled.contains("Pull complete"), "{image}: {pulled}");
    }
    assert_eq!(lab.tampered().await.unwrap(), None);
    lab.down().await.unwrap();
}
