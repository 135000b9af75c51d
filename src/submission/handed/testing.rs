//! Archives as no tool makes them, byte by byte.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use tar::{EntryType, Header};

/// A zip that is written as it is told.
#[derive(Default)]
pub(super) struct Zip {
    bytes: Vec<u8>,
    list: Vec<u8>,
    count: u16,
}

impl Zip {
    pub(super) fn file(self, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        self.entry(name.as_ref(), 0o100_644, 0, content)
    }

    pub(super) fn entry(mut self, name: &[u8], mode: u32, flags: u16, content: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        packed.write_all(content).unwrap();
        let packed = packed.finish().unwrap();
        let at = u32::try_from(self.bytes.len()).unwrap();
        let mut about = Vec::new();
        for word in [20, flags, 8, 0, 0] {
            about.extend(u16::to_le_bytes(word));
        }
        for number in [crc.sum(), packed.len() as u32, content.len() as u32] {
            about.extend(number.to_le_bytes());
        }
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]);
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&about);
        self.bytes.extend(name);
        self.bytes.extend(packed);
        // Made by unix.
        self.list.extend(b"PK\x01\x02\x14\x03");
        self.list.extend(&about);
        self.list.extend([0; 6]);
        self.list.extend((mode << 16).to_le_bytes());
        self.list.extend(at.to_le_bytes());
        self.list.extend(name);
        self.count += 1;
        self
    }

    /// As Windows packs it: made by DOS, which knows no mode.
    pub(super) fn of_windows(mut self) -> Self {
        let starts: Vec<usize> =
            (0..self.list.len()).filter(|at| self.list[*at..].starts_with(b"PK\x01\x02")).collect();
        for at in starts {
            self.list[at + 5] = 0;
            self.list[at + 38..at + 42].copy_from_slice(&0x20_u32.to_le_bytes());
        }
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        let Self { mut bytes, list, count } = self;
        let at = bytes.len() as u32;
        bytes.extend(&list);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
        bytes.extend([(list.len() as u32).to_le_bytes(), at.to_le_bytes()].concat());
        bytes.extend([0, 0]);
        bytes
    }
}

/// A tar with names as they are given.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn file(self, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name.as_ref(), b"", content)
    }

    pub(super) fn entry(mut self, kind: EntryType, name: &[u8], to: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..to.len()].copy_from_slice(to);
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }

    pub(super) fn gz(self) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::best());
        gz.write_all(&self.done()).unwrap();
        gz.finish().unwrap()
    }
}
