//! A socket in another network namespace, and whether it was there before the namespace's first process.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::fs::MetadataExt;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

/// Room for packets that wait, in bytes: a burst while others have the processor.
const ROOM: usize = 4 << 20;
/// How the runtime's process is called until it becomes the container's first one.
const RUNTIME: &str = "runc:[";

/// The network namespace of the thread that asks.
const HERE: &str = "/proc/thread-self/ns/net";

/// The way back of a thread that goes into other namespaces.
pub(super) struct Home(File);

impl Home {
    pub(super) fn here() -> io::Result<Self> {
        Ok(Self(File::open(HERE)?))
    }

    /// Does something in another network namespace; only the calling thread is there.
    pub(super) fn away<T>(&self, namespace: &File, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        let done = work();
        // Without the way back nothing more is to be believed of this thread.
        setns(&self.0, CloneFlags::CLONE_NEWNET)?;
        done
    }
}

/// The namespace that lies at a path; none where there is only a file yet, over which the engine will put it.
pub(super) fn namespace(path: &Path) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    Ok((fstatfs(&file)?.filesystem_type() == NSFS_MAGIC).then_some(file))
}

/// Takes a copy of every packet of a namespace, from IP headers on, from now on. Gives the way back into it too: one that
/// is not the engine's mount, which could not be let go of while somebody held it.
pub(super) fn open(home: &Home, namespace: &File) -> io::Result<(OwnedFd, File)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    home.away(namespace, || {
        let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM)?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok((socket, File::open(HERE)?))
    })
}

/// Whether nothing of a container runs in a namespace yet. Asked after its socket was opened, it says that the socket was
/// there first.
pub(super) fn nobody_yet(namespace: &File) -> io::Result<bool> {
    let wanted = format!("net:[{}]", namespace.metadata()?.st_ino());
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // One that ends meanwhile is none.
        let there = fs::read_link(entry.path().join("ns/net")).is_ok_and(|at| at.as_os_str() == wanted.as_str());
        if there && !fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.starts_with(RUNTIME)) {
            return Ok(false);
        }
    }
    Ok(true)
}
