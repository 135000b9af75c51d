//! Proving stand-ins before a run of the command line: what is going on is said on stderr.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::Ctx;
use crate::engine::prove::{self, Proving};
use crate::plan::Plan;

/// See [`prove::first`].
pub async fn first(plan: &Plan, ctx: Ctx, reports: &Path, cancel: &CancellationToken) {
    prove::first(plan, &Proving { lang: ctx.lang, reports, cancel, say: &|text| say(ctx, text) }).await;
}

/// See [`prove::of`].
pub async fn of(plan: &Plan, ctx: Ctx, reports: &Path, cancel: &CancellationToken) {
    prove::of(plan, &Proving { lang: ctx.lang, reports, cancel, say: &|text| say(ctx, text) }).await;
}

fn say(ctx: Ctx, text: &str) {
    if !ctx.quiet {
        super::bars::say(text);
    }
}
