//! Carries bytes between its own two pipes and a socket of the place where it runs, as `docker system dial-stdio` does: with a
//! tenth of the memory of a docker client, of which a machine of 512 MB would hold one for each connection.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::BINARY;
use super::serve::NAME;
use crate::exec::Cmd;

const ASKED: &str = "--dial";
/// Bytes at a time.
const PIECE: usize = 64 << 10;

/// A command whose pipes lead to the engine of the place where it runs.
pub(crate) fn engine() -> Cmd {
    Cmd::new([BINARY, NAME, ASKED, "/var/run/docker.sock"])
}

/// Does what the arguments ask for; none where they do not.
pub(super) fn asked(args: &[String]) -> Option<ExitCode> {
    let [name, socket] = args else { return None };
    if name != ASKED {
        return None;
    }
    Some(match dial(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever asked reads it as the last words of a command that ended.
            let _ = writeln!(io::stderr(), "could not carry bytes to {socket}: {error}");
            ExitCode::FAILURE
        }
    })
}

fn dial(socket: &str) -> io::Result<()> {
    // Past the buffers of the standard streams.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    carry(&UnixStream::connect(socket)?, input, output)
}

/// Until the socket ends. That the input ends is told the socket, which may still have something to say.
fn carry<I: Read + Send + 'static>(socket: &UnixStream, mut input: I, mut output: impl Write) -> io::Result<()> {
    let mut there = socket.try_clone()?;
    // Not waited for: its input may stay open, and it ends with the process.
    std::thread::spawn(move || {
        let _ = pass(&mut input, &mut there);
        let _ = there.shutdown(Shutdown::Write);
    });
    pass(&mut &*socket, &mut output)
}

/// Not `io::copy`, which has the kernel move the bytes where it can (`splice`): that of a machine, Linux 6.1, held back what a
/// socket had said until it ended, five minutes later.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut some = vec![0; PIECE];
    loop {
        match from.read(&mut some) {
            Ok(0) => return to.flush(),
            Ok(read) => to.write_all(&some[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_goes_in_arrives_and_what_is_answered_comes_out_after_the_input_ended() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let (mut theirs, mut asked) = (theirs, String::new());
            // Ends where the input does, and only then is there an answer.
            theirs.read_to_string(&mut asked).unwrap();
            theirs.write_all(format!("{asked}, too").as_bytes()).unwrap();
        });
        let mut said = Vec::new();
        carry(&ours, Cursor::new(b"hello".to_vec()), &mut said).unwrap();
        server.join().unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), "hello, too");
    }

    #[test]
    fn a_socket_that_ends_is_the_end_though_the_input_stays_open() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (silent, _open) = UnixStream::pair().unwrap();
        drop(theirs);
        carry(&ours, silent, Vec::new()).unwrap();
    }

    #[test]
    fn only_what_asks_for_it_is_answered() {
        let of = |words: &[&str]| asked(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).is_some();
        assert!(!of(&["--clock", "answer"]) && !of(&["--dial"]));
        assert!(of(&["--dial", "/nowhere/at/all.sock"]));
        assert_eq!(engine().argv[..3], [BINARY, NAME, ASKED]);
    }
}
