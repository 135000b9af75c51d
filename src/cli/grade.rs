//! `imparcial grade`.

use super::{Ctx, exit};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _ctx: Ctx) -> u8 {
    exit::USAGE
}
