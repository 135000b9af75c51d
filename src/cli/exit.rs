//! Exit codes, one meaning each. Those of a graded run follow from its record: [`crate::grade::exit_code`].

use crate::grade::Conclusion;

/// Every check that counts passed.
pub const OK: u8 = Conclusion::Passed.code();
/// Some check failed: the submission's fault. Also beside an undecided one, and for an empty or hopeless submission.
pub const FAILED: u8 = Conclusion::Failed.code();
/// The command line or the scenario is wrong; nothing was started.
pub const USAGE: u8 = 2;
/// It could not be graded, or something is undecided: ours or the host's.
pub const NOT_GRADED: u8 = Conclusion::Undecided.code();
/// Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = Conclusion::Interrupted.code();
