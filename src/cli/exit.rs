//! Exit codes, one meaning each.

/// Every check that counts passed.
pub const OK: u8 = 0;
/// Some check failed: the submission's fault.
pub const FAILED: u8 = 1;
/// The command line or the scenario is wrong; nothing was started.
pub const USAGE: u8 = 2;
/// It could not be graded, or something is undecided: ours or the host's.
pub const NOT_GRADED: u8 = 3;
/// Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;
