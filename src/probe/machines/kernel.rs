//! The kernel's tables of a process, read as text: its mounts, the addresses of its network, the sockets that listen there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A line of `/proc/PID/mountinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::probe) struct Mount {
    /// Of the device: `7:5`.
    pub(in crate::probe) number: String,
    /// Which folder of the file system is mounted: `/`, or that of a bind.
    pub(in crate::probe) root: String,
    pub(in crate::probe) at: String,
    /// Of the mount and of its file system.
    pub(in crate::probe) options: Vec<String>,
    pub(in crate::probe) kind: String,
    pub(in crate::probe) source: String,
}

/// In the kernel's order: of two at one place, the later one lies above.
pub(in crate::probe) fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (own, of) = line.split_once(" - ")?;
    let own: Vec<&str> = own.split(' ').collect();
    let of: Vec<&str> = of.split(' ').collect();
    let mut options: Vec<String> = Vec::new();
    for option in own.get(5)?.split(',').chain(of.get(2)?.split(',')) {
        let option = unescape(option);
        if !options.contains(&option) {
            options.push(option);
        }
    }
    Some(Mount {
        number: (*own.get(2)?).to_owned(),
        root: unescape(own.get(3)?),
        at: unescape(own.get(4)?),
        options,
        kind: (*of.first()?).to_owned(),
        source: unescape(of.get(1)?),
    })
}

/// Spaces and the like are written in octal there: `\040`. So are they in `fstab`.
pub(in crate::probe) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A path as mounts have it: without a slash at its end, or two in a row.
pub(in crate::probe) fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}

/// Whether a `fstab` mounts something there.
pub(in crate::probe) fn in_fstab(text: &str, path: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let places = lines.filter_map(|line| line.split_whitespace().nth(1));
    places.map(unescape).any(|at| at.starts_with('/') && plain(&at) == plain(path))
}

/// The machine's own addresses in `/proc/PID/net/fib_trie`, without its loopback's.
pub(in crate::probe) fn addresses(text: &str) -> Vec<Ipv4Addr> {
    let mut all: Vec<Ipv4Addr> = Vec::new();
    let mut last = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !Ipv4Addr::is_loopback(&address)
            && !all.contains(&address)
        {
            all.push(address);
        }
    }
    all
}

/// The state of a socket that listens, in the kernel's tables.
pub(in crate::probe) const TCP_LISTENS: &str = "0A";
/// One of UDP that is bound and connected to nobody.
pub(in crate::probe) const UDP_BOUND: &str = "07";

/// Where sockets of a table such as `/proc/PID/net/tcp` are in that state.
pub(in crate::probe) fn sockets(text: &str, state: &str) -> Vec<(IpAddr, u16)> {
    let socket = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, is) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, port) = local.split_once(':')?;
        (is == state).then_some((address_of(address)?, u16::from_str_radix(port, 16).ok()?))
    };
    text.lines().filter_map(socket).collect()
}

/// In words of 32 bits, each as the machine has it in memory: ours are little-endian.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let six = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            Some(six.to_ipv4_mapped().map_or(six.into(), IpAddr::from))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a container node whose `/dev/sdb` (a loop device) was mounted, and bound once more.
    const MOUNTS: &str = "586 528 0:154 / / rw,relatime master:7 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u\n\
        599 590 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755\n\
        610 586 254:0 /var/lib/docker/volumes/a8fb/_data /var/lib/docker rw,relatime master:1 - ext4 /dev/vda rw,discard\n\
        527 586 7:5 / /data/mi\\040disco rw,relatime - xfs /dev/sdb rw,inode64,logbufs=8\n\
        538 586 7:5 / /x rw,relatime - xfs /dev/sdb rw,inode64,logbufs=8\n";

    #[test]
    fn mounts_are_read_with_their_devices() {
        let all = mounts(MOUNTS);
        assert_eq!(all.len(), 5);
        let disk = &all[3];
        assert_eq!((disk.number.as_str(), disk.at.as_str(), disk.kind.as_str()), ("7:5", "/data/mi disco", "xfs"));
        assert_eq!((disk.source.as_str(), disk.root.as_str()), ("/dev/sdb", "/"));
        assert_eq!(disk.options, ["rw", "relatime", "inode64", "logbufs=8"]);
        assert_eq!(all[2].root, "/var/lib/docker/volumes/a8fb/_data");
        assert_eq!(mounts("nothing\n586 528 0:154 / / rw\n"), []);
    }

    #[test]
    fn a_path_is_found_in_fstab_as_it_may_be_written() {
        let text =
            "# /dev/sdb /datos xfs defaults 0 0\n/dev/sdb  /data/  xfs defaults 0 0\nUUID=a /mi\\040disco xfs x\n";
        assert!(in_fstab(text, "/data") && in_fstab(text, "/data//") && in_fstab(text, "/mi disco"));
        assert!(!in_fstab(text, "/datos") && !in_fstab(text, "/dat"));
        assert!(!in_fstab("/dev/sdc none swap sw 0 0\n", "/none"));
    }

    #[test]
    fn own_addresses_are_told_from_networks_and_loopback() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n        \
            +-- 127.0.0.0/31 1 0 0\n           |-- 127.0.0.0\n              /8 host LOCAL\n           |-- 127.0.0.1\n              \
            /32 host LOCAL\n     +-- 172.17.0.0/16 2 0 2\n           |-- 172.17.0.0\n              /16 link UNICAST\n           \
            |-- 172.17.0.4\n              /32 host LOCAL\n        |-- 172.17.255.255\n           /32 link BROADCAST\n\
            Local:\n           |-- 172.17.0.4\n              /32 host LOCAL\n";
        assert_eq!(addresses(text), [Ipv4Addr::new(172, 17, 0, 4)]);
    }

    #[test]
    fn listening_sockets_are_read_in_both_families() {
        let four = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 00000000:5DC7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 183177 1\n   \
            1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 181973 1\n   \
            2: 040011AC:0016 010011AC:D431 01 00000000:00000000 02:000A0000 00000000     0        0 181974 1\n";
        let found: Vec<String> = sockets(four, TCP_LISTENS).iter().map(|(a, p)| format!("{a}:{p}")).collect();
        assert_eq!(found, ["0.0.0.0:24007", "127.0.0.1:3306"]);
        let six = "  sl  local_address\n   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n   \
            1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0\n   \
            2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        let found: Vec<String> = sockets(six, TCP_LISTENS).iter().map(|(a, p)| format!("{a} {p}")).collect();
        assert_eq!(found, [":: 22", "127.0.0.1 8080", "::1 80"]);
    }
}
