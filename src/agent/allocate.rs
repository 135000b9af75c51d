//! Takes memory as a member of a container's control group, until the kernel kills it or it has had all that it was told.
//!
//! It asks to be killed first, so that whoever is over the limit with it lives on.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

/// Taken at a time, in bytes.
const PIECE: usize = 1 << 20;
const ASKED: &str = "--allocate";
/// Its status where it could not become a member: nothing was taken.
const OUTSIDE: u8 = 3;

/// As arguments of `imparcial agent`: the group's folder, and how many bytes at most.
pub(crate) fn args(group: &str, bytes: u64) -> Vec<String> {
    [ASKED, &bytes.to_string(), group].map(str::to_owned).to_vec()
}

/// Takes memory where the arguments ask for it; none where they do not.
pub(super) fn asked(args: &[String]) -> Option<ExitCode> {
    let [name, bytes, group] = args else { return None };
    let bytes = if name == ASKED { bytes.parse::<u64>().ok()? } else { return None };
    Some(match join(group) {
        Ok(()) => {
            take(bytes);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(OUTSIDE),
    })
}

fn join(group: &str) -> io::Result<()> {
    // Of the group first: a folder that is none leaves this process as it was.
    let mut members = fs::File::options().write(true).open(format!("{group}/cgroup.procs"))?;
    fs::write("/proc/self/oom_score_adj", "1000")?;
    members.write_all(std::process::id().to_string().as_bytes())
}

/// Every page is written to: memory that is only promised is not taken.
fn take(bytes: u64) {
    let mut held = Vec::new();
    for _ in 0..bytes.div_ceil(PIECE as u64) {
        held.push(vec![1_u8; PIECE]);
        std::hint::black_box(&held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_by_name_and_nothing_is_taken_outside() {
        assert_eq!(args("/g", 7), ["--allocate", "7", "/g"]);
        assert!(asked(&["--inside".into(), "7".into()]).is_none());
        assert!(asked(&["--other".into(), "7".into(), "/g".into()]).is_none());
        assert_eq!(join("/no/such/group").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
