//! Watches the folder in which an engine keeps the network namespaces of its containers, and opens a socket in each as soon
//! as it is there: an engine puts it there, gives it its network, and only then lets the container's first process run.
//!
//! One thread of its own, since going into a namespace is a thread's affair.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::Dials;
use super::join::{Home, namespace, nobody_yet, open};
use super::packet::{begun, read, sought};

/// Namespaces that are remembered; containers that restart make a new one each time.
const MOST: usize = 128;
/// Looks for a namespace at a path, a millisecond apart.
const LOOKS: u32 = 3000;
/// How long reading what has come may take.
const IN_TIME: Duration = Duration::from_secs(2);
/// Packets read at one socket before the others have their turn.
const TURN: usize = 512;
/// Addresses whose sockets are looked for, in one namespace.
const SOUGHT: usize = 64;
/// Of a packet: more than the headers and any DNS message over UDP have.
const PACKET: usize = 4096;

/// `sll_pkttype` of what leaves, and the kinds of packets by `sll_protocol`.
const OUTGOING: u8 = 4;
const ARP: u16 = 0x0806;
const IP: [u16; 2] = [0x0800, 0x86dd];

/// What is known, between the thread that listens and whoever asks it.
#[derive(Default)]
struct Book {
    /// The newest last.
    spaces: VecDeque<(String, Dials)>,
    /// Why the listening ended.
    broken: Option<String>,
    /// Who waits until all that has come by now has been read.
    asking: Vec<oneshot::Sender<()>>,
}

static BOOK: Mutex<Option<Book>> = Mutex::new(None);
/// Wakes the thread; it is there once something listens.
static BELL: OnceLock<UnixStream> = OnceLock::new();

fn book<T>(work: impl FnOnce(&mut Book) -> T) -> T {
    work(BOOK.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// What was heard in the namespace of this name until now; none where there was no such. The error is the listening's.
pub(in crate::agent) async fn seen(name: &str) -> Result<Option<Dials>, String> {
    let Some(mut bell) = BELL.get() else { return Err("nothing listens to what is dialled".to_owned()) };
    let (tell, told) = oneshot::channel();
    book(|book| book.asking.push(tell));
    // Full, it rings already.
    let _ = bell.write(&[1]);
    let read = tokio::time::timeout(IN_TIME, told).await;
    book(|book| match (&book.broken, read) {
        (Some(why), _) => Err(why.clone()),
        (None, Ok(Ok(()))) => Ok(book.spaces.iter().rev().find(|(known, _)| known == name).map(|(_, d)| d.clone())),
        (None, _) => Err("what is dialled comes faster than it can be read".to_owned()),
    })
}

/// Begins to listen in the namespaces of a folder, until this process ends. A second call changes nothing.
pub(in crate::agent) fn start(folder: &str) -> Result<(), String> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _one = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if BELL.get().is_some() {
        return Ok(());
    }
    let said = |e: io::Error| format!("could not listen in the network namespaces of {folder}: {e}");
    let (bell, rung) = UnixStream::pair().map_err(said)?;
    bell.set_nonblocking(true).map_err(said)?;
    rung.set_nonblocking(true).map_err(said)?;
    let watch = Watch::new(folder.into(), rung).map_err(said)?;
    std::thread::Builder::new().name("dials".to_owned()).spawn(move || watch.run()).map_err(said)?;
    let _ = BELL.set(bell);
    Ok(())
}

/// A namespace's name where it is a container's: the machine's own and those of an engine's networks are called otherwise.
fn containers(name: OsString) -> Option<String> {
    let name = name.into_string().ok()?;
    (name.len() == 12 && name.bytes().all(|b| b.is_ascii_hexdigit())).then_some(name)
}

struct Watch {
    folder: PathBuf,
    inotify: Inotify,
    rung: UnixStream,
    open: Vec<Space>,
    /// Names that have been seen and are no namespaces yet, and how often they were looked at.
    coming: Vec<(String, u32)>,
}

/// A namespace that is listened to.
struct Space {
    name: String,
    namespace: File,
    socket: OwnedFd,
    sought: Vec<std::net::Ipv4Addr>,
}

impl Watch {
    fn new(folder: PathBuf, rung: UnixStream) -> io::Result<Self> {
        // An engine that has had no container yet has no such folder either.
        std::fs::create_dir_all(&folder)?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(&folder, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE)?;
        // Those that are there already: what their processes did before is not known.
        let there = std::fs::read_dir(&folder)?.flatten().filter_map(|e| containers(e.file_name()));
        let coming = there.map(|name| (name, LOOKS - 1)).collect();
        Ok(Self { folder, inotify, rung, open: Vec::new(), coming })
    }

    fn run(mut self) {
        // The way back has to be this thread's.
        let failed = Home::here().and_then(|home| {
            loop {
                self.turn(&home)?;
            }
        });
        let why: Result<(), io::Error> = failed;
        if let Err(why) = why {
            book(|book| {
                book.broken = Some(format!("could not go on listening to what is dialled: {why}"));
                book.asking.clear();
            });
        }
    }

    fn turn(&mut self, home: &Home) -> io::Result<()> {
        let mut waiting = vec![PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        waiting.push(PollFd::new(self.rung.as_fd(), PollFlags::POLLIN));
        waiting.extend(self.open.iter().map(|s| PollFd::new(s.socket.as_fd(), PollFlags::POLLIN)));
        let timeout = if self.coming.is_empty() { PollTimeout::NONE } else { PollTimeout::from(1_u8) };
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // A new one first: its processes do not wait.
        self.events()?;
        self.arrivals(home)?;
        let mut noise = [0; 64];
        while (&self.rung).read(&mut noise).is_ok_and(|n| n == noise.len()) {}
        let asking = book(|book| std::mem::take(&mut book.asking));
        let mut read = true;
        for space in &mut self.open {
            read &= space.listen(home)?;
        }
        if read {
            // Whoever gave up does not hear it.
            for asking in asking {
                let _ = asking.send(());
            }
        } else if !asking.is_empty() {
            book(|book| book.asking.extend(asking));
        }
        Ok(())
    }

    fn events(&mut self) -> io::Result<()> {
        let events = match self.inotify.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                return Err(io::Error::other("namespaces came too fast"));
            }
            let Some(name) = event.name.and_then(containers) else { continue };
            if event.mask.contains(AddWatchFlags::IN_CREATE) {
                self.coming.push((name, 0));
            } else {
                self.coming.retain(|(known, _)| *known != name);
                // Kept open it would keep the namespace.
                self.open.retain(|space| space.name != name);
            }
        }
        Ok(())
    }

    fn arrivals(&mut self, home: &Home) -> io::Result<()> {
        for (name, looks) in std::mem::take(&mut self.coming) {
            match namespace(&self.folder.join(&name)) {
                Ok(Some(mounted)) => {
                    let (socket, namespace) = open(home, &mounted)?;
                    drop(mounted);
                    let dials = Dials::new(nobody_yet(&namespace)?);
                    book(|book| {
                        if book.spaces.len() >= MOST {
                            // One that has ended: containers that restart must not hide one that runs.
                            let ended = |(name, _): &(String, Dials)| !self.open.iter().any(|s| s.name == *name);
                            let oldest = book.spaces.iter().position(ended).unwrap_or_default();
                            book.spaces.remove(oldest);
                        }
                        book.spaces.push_back((name.clone(), dials));
                    });
                    self.open.push(Space { name, namespace, socket, sought: Vec::new() });
                }
                Ok(None) if looks < LOOKS => self.coming.push((name, looks + 1)),
                // It is gone again, or never became one: whoever asks for it hears of none.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn seconds(time: TimeSpec) -> f64 {
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}

impl Space {
    /// Reads what has come; whether that was all of it.
    fn listen(&mut self, home: &Home) -> io::Result<bool> {
        let mut buffer = [0_u8; PACKET];
        let mut control = cmsg_space!(u32, TimeSpec);
        for _ in 0..TURN {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let packet = match recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
                Ok(packet) => packet,
                Err(Errno::EAGAIN) => return Ok(true),
                // The interface went down; others may still be there.
                Err(Errno::ENETDOWN | Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let (mut lost, mut at) = (false, None);
            for message in packet.cmsgs()? {
                match message {
                    ControlMessageOwned::RxqOvfl(packets) => lost |= packets > 0,
                    // When it passed, and not when it was read.
                    ControlMessageOwned::ScmTimestampns(time) => at = Some(seconds(time)),
                    _ => {}
                }
            }
            let Some(link) = packet.address else { continue };
            let (out, kind, length) = (link.pkttype() == OUTGOING, u16::from_be(link.protocol()), packet.bytes);
            let bytes = buffer.get(..length.min(PACKET)).unwrap_or_default();
            let mut events = if IP.contains(&kind) { read(bytes, out) } else { Vec::new() };
            if out && kind == ARP {
                events.extend(self.unsent(home, bytes)?);
            }
            if lost || !events.is_empty() {
                let at = at.unwrap_or_else(|| OffsetDateTime::now_utc().unix_timestamp_nanos() as f64 / 1e9);
                book(|book| {
                    if let Some((_, dials)) = book.spaces.iter_mut().rev().find(|(name, _)| *name == self.name) {
                        dials.whole &= !lost;
                        events.into_iter().for_each(|event| dials.note(event, at));
                    }
                });
            }
        }
        Ok(false)
    }

    /// Connections that are begun to an address which has to be found first.
    fn unsent(&mut self, home: &Home, bytes: &[u8]) -> io::Result<Vec<super::Event>> {
        let Some(address) = sought(bytes) else { return Ok(Vec::new()) };
        if self.sought.contains(&address) || self.sought.len() >= SOUGHT {
            return Ok(Vec::new());
        }
        let table = home.away(&self.namespace, || std::fs::read_to_string(Path::new("/proc/thread-self/net/tcp")))?;
        let begun = begun(&table, address);
        if !begun.is_empty() {
            self.sought.push(address);
        }
        Ok(begun.into_iter().map(super::Event::Tried).collect())
    }
}
