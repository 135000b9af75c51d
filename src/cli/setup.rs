//! `imparcial setup`: makes what labs need, says what is there, or takes it away.

use std::time::Duration;

use tokio::time::Instant;

use super::bars::{Bars, say};
use super::{Ctx, exit};
use crate::backend::getting::At;
use crate::backend::vagrant::acceleration;
use crate::docker::Engine;
use crate::lab::setup::{self, Progress, Seen, World};
use crate::lab::snapshots;
use crate::sanitize;
use crate::text::{Lang, Text};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what is there, what is missing, and what to type.
    #[arg(long, conflicts_with_all = ["remove", "rebuild"])]
    check: bool,
    /// Take away what set-up made: images, registry, network; and the snapshots of virtual machines. Packages and the engine stay.
    #[arg(long, conflicts_with = "rebuild")]
    remove: bool,
    /// Make every image again, with the packages of today.
    #[arg(long)]
    rebuild: bool,
    /// See to what `grade --provider libvirt` needs as well: a lab's image with a hypervisor, and a disk for its machines.
    #[arg(long)]
    vms: bool,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let world = World::of_host(args.rebuild).with_vms(args.vms);
    if args.check {
        return check(&world, args.vms, ctx).await;
    }
    let lines = Lines::new(ctx);
    let done = if args.remove {
        setup::remove(&world).await.map(|text| lines.done("remove", &text, lines.began.elapsed()))
    } else {
        setup::set_up(&world, &lines).await
    };
    lines.finish();
    match done {
        Ok(()) => {
            if !ctx.quiet && !args.remove {
                let seconds = lines.began.elapsed().as_secs_f64();
                let text = Text::new(format!("set up in {seconds:.1} s"), format!("listo en {seconds:.1} s"));
                eprintln!("{}", text.get(ctx.lang));
            }
            exit::OK
        }
        Err(error) => {
            eprintln!("error: {}", error.text().get(ctx.lang));
            exit::NOT_GRADED
        }
    }
}

async fn check(world: &World, vms: bool, ctx: Ctx) -> u8 {
    let mut missing = 0;
    let row = |mark: &str, name: &str, text: &str| println!("{mark:<3} {:<9} {text}", called(name, ctx.lang));
    for (name, seen) in setup::check(world).await {
        match seen {
            Ok(Seen::There(text)) => row("ok", name, text.get(ctx.lang)),
            Ok(Seen::Missing(text)) => {
                missing += 1;
                row("--", name, text.get(ctx.lang));
            }
            Err(error) => {
                missing += 1;
                row("!!", name, error.text().get(ctx.lang));
            }
        }
    }
    if vms {
        for (name, text) in of_virtual_machines().await {
            row("ok", name, text.get(ctx.lang));
        }
    }
    let text = match interpreter() {
        Ok(None) => {
            let text = Text::new(
                "this program needs no library: it can run in any container",
                "este programa no necesita bibliotecas: funciona en cualquier contenedor",
            );
            row("ok", "program", text.get(ctx.lang));
            None
        }
        Ok(Some(loader)) => Some(Text::new(
            format!(
                "this program needs {loader}, so it cannot run in labs: unset RUSTFLAGS and `cargo build` it again"
            ),
            format!(
                "este programa necesita {loader} y no funciona en los laboratorios: quite RUSTFLAGS y repita `cargo build`"
            ),
        )),
        Err(error) => Some(Text::same(error.to_string())),
    };
    if let Some(text) = text {
        row("--", "program", text.get(ctx.lang));
        return exit::NOT_GRADED;
    }
    println!("{}", closing(missing).get(ctx.lang));
    if missing == 0 { exit::OK } else { exit::NOT_GRADED }
}

/// What a run would make of virtual machines here: what they run on, and where it would begin.
async fn of_virtual_machines() -> Vec<(&'static str, Text)> {
    let tried = acceleration::known(&setup::state()).map(|known| known.told());
    let tried = tried.unwrap_or_else(|| {
        Text::new(
            "whether virtual machines run on the processor (KVM) is tried by the first run of each start of this host",
            "si las máquinas virtuales corren sobre el procesador (KVM) lo prueba la primera ejecución tras cada arranque de este anfitrión",
        )
    });
    let mut all = vec![("kvm", tried)];
    if let Ok(engine) = Engine::host().await
        && let Ok(count) = snapshots::count(&engine).await
    {
        let most = snapshots::MOST;
        all.push((
            "snapshots",
            Text::new(
                format!("{count} of at most {most} kept, in volumes of the engine; `imparcial down --snapshots` takes them away"),
                format!("{count} de {most} como máximo, en volúmenes del motor; `imparcial down --snapshots` los quita"),
            ),
        ));
    }
    all
}

fn closing(missing: usize) -> Text {
    match missing {
        0 => Text::new("everything is there", "está todo"),
        n => Text::new(format!("{n} missing: run `imparcial setup`"), format!("faltan {n}: ejecute `imparcial setup`")),
    }
}

/// The loader that our own executable asks for; none where it is static, as the agent in labs has to be.
fn interpreter() -> std::io::Result<Option<String>> {
    Ok(loader(&std::fs::read("/proc/self/exe")?))
}

/// Finds PT_INTERP among a 64-bit ELF's program headers.
fn loader(elf: &[u8]) -> Option<String> {
    let word = |at: usize, length: usize| -> Option<usize> {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(elf.get(at..at + length)?);
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let (start, size, count) = (word(0x20, 8)?, word(0x36, 2)?, word(0x38, 2)?);
    let header = (0..count).map(|n| start + n * size).find(|at| word(*at, 4) == Some(3))?;
    let (offset, length) = (word(header + 8, 8)?, word(header + 32, 8)?);
    let path = elf.get(offset..offset + length)?;
    Some(String::from_utf8_lossy(path).trim_end_matches('\0').to_owned())
}

/// A step of set-up as people call it; an image has one name.
fn called(name: &str, lang: Lang) -> &str {
    let es = match name {
        "packages" => "paquetes",
        "engine" => "motor",
        "network" => "red",
        "registry" => "registro",
        "images" => "imágenes",
        "layers" => "capas",
        "snapshots" => "instantáneas",
        "program" => "programa",
        "remove" => "retirada",
        other => other,
    };
    if lang == Lang::Es { es } else { name }
}

/// One line a step on standard error; on a terminal, what a tool says and how far each image is move below them.
struct Lines {
    ctx: Ctx,
    began: Instant,
    bars: Option<Bars>,
}

impl Lines {
    fn new(ctx: Ctx) -> Self {
        Self { ctx, began: Instant::now(), bars: Bars::of_terminal(ctx) }
    }

    fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }

    fn print(&self, line: &str) {
        if !self.ctx.quiet {
            say(line);
        }
    }
}

impl Progress for Lines {
    fn begin(&self, what: &str, text: &Text) {
        let (what, text) = (called(what, self.ctx.lang), text.get(self.ctx.lang));
        self.print(&format!("          {what:<11} {text} …"));
        if let Some(bars) = &self.bars {
            bars.note(&format!("{what}: {text}"));
        }
    }

    fn line(&self, what: &str, line: &str) {
        let line = || format!("{}: {}", called(what, self.ctx.lang), sanitize::line(line, 200));
        match &self.bars {
            Some(bars) => bars.note(&line()),
            None if self.ctx.verbose => self.print(&format!("          {}", line())),
            None => {}
        }
    }

    fn images(&self, count: usize) {
        if let Some(bars) = &self.bars {
            bars.images(count);
        }
    }

    fn image(&self, what: &str, at: &At) {
        if let Some(bars) = &self.bars {
            bars.image(what, at);
        }
    }

    fn done(&self, what: &str, text: &Text, took: Duration) {
        let (name, text) = (called(what, self.ctx.lang), text.get(self.ctx.lang));
        self.print(&format!("{:>7.1} s {name:<11} {text}", took.as_secs_f64()));
        // The next step begins, but for one image of several.
        if let Some(bars) = &self.bars
            && setup::is_step(what)
        {
            bars.end_images();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_is_found_in_an_elf_that_has_one() {
        let mut elf = vec![0; 0x40];
        elf[0x20] = 0x40; // program headers
        elf[0x36] = 56;
        elf[0x38] = 2;
        let mut header = vec![0; 56];
        header[0] = 1;
        elf.extend(&header);
        header[0] = 3;
        header[8] = 0xb0;
        header[32] = 5;
        elf.extend(&header);
        elf.extend(b"/ld\0\0");
        assert_eq!(loader(&elf).as_deref(), Some("/ld"));
        assert_eq!(loader(b"no elf"), None);
    }
}
