//! `imparcial schema`: the JSON Schema of scenarios for editors, or the page of the kinds of checks.

use super::{Ctx, exit, screen};
use crate::probe::PROBES;
use crate::reference;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kinds of checks instead, in Markdown: facts, parameters, an example of each.
    #[arg(long)]
    kinds: bool,
}

pub async fn run(args: Args, ctx: Ctx) -> u8 {
    let text = if args.kinds { Ok(reference::kinds::page(PROBES)) } else { document() };
    match text.and_then(|text| {
        screen::put(text.as_bytes()).map_err(|error| screen::unwritten(&error).get(ctx.lang).to_owned())
    }) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("error: {error}");
            exit::NOT_GRADED
        }
    }
}

fn document() -> Result<String, String> {
    let text = serde_json::to_string_pretty(&reference::schema::schema(PROBES)).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}
