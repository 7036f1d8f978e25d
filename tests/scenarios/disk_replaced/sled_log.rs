//! The log of the state database, as someone reads and writes it who has no key: the framing of sled 0.34 is not sealed.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::Crc;

const SEGMENT: usize = 512 * 1024;
const SEGMENT_HEADER: usize = 20;
const SEGMENT_TRAILER: usize = 32;
/// Kinds of messages.
const CANCELED: u8 = 1;
const CAP: u8 = 2;
const LINK: u8 = 10;
const LAST: u8 = 11;

/// One message of the log.
#[derive(Clone, Debug)]
struct Message {
    header: Range<usize>,
    body: Range<usize>,
    kind: u8,
    segment: u64,
}

/// The log of the database in a data directory.
pub(super) struct SledLog {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl SledLog {
    pub(super) fn read(data_dir: &Path) -> Self {
        let path = data_dir.join("meta/sled/db");
        let bytes = fs::read(&path).unwrap();
        Self { path, bytes }
    }

    /// The changes of single values, the newest first, by the places of their messages.
    pub(super) fn changes(&self) -> Vec<usize> {
        let mut links: Vec<Message> = self.messages().into_iter().filter(|one| one.kind == LINK).collect();
        links.sort_by_key(|one| (one.segment, one.header.start));
        links.into_iter().rev().map(|one| one.header.start).collect()
    }

    /// Cancels the message at this place: the value before it is the present one again. What the database has summed up elsewhere is removed.
    pub(super) fn cancel(mut self, at: usize) {
        let message = self.messages().into_iter().find(|one| one.header.start == at).unwrap();
        self.bytes[at + 4] = CANCELED;
        let crc = self.crc(&message.header, &message.body);
        self.bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        fs::write(&self.path, &self.bytes).unwrap();
        for entry in fs::read_dir(self.path.parent().unwrap()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("snap.") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    fn messages(&self) -> Vec<Message> {
        let starts = (0..self.bytes.len()).step_by(SEGMENT);
        starts.flat_map(|start| self.messages_of(start)).collect()
    }

    fn messages_of(&self, segment: usize) -> Vec<Message> {
        let end = (segment + SEGMENT - SEGMENT_TRAILER).min(self.bytes.len());
        let mut found = Vec::new();
        let mut at = segment + SEGMENT_HEADER;
        while let Some(message) = self.message(at).filter(|message| message.body.end <= end) {
            at = message.body.end;
            let last = message.kind == CAP;
            found.push(message);
            if last {
                break;
            }
        }
        found
    }

    /// A message: checksum, kind, then the length of its body, the number of its segment and that of its page.
    fn message(&self, at: usize) -> Option<Message> {
        let kind = *self.bytes.get(at + 4)?;
        let (length, next) = self.number(at + 5)?;
        let (segment, next) = self.number(next)?;
        let (_page, next) = self.number(next)?;
        let header = at..next;
        let body = next..next.checked_add(usize::try_from(length).ok()?)?;
        let stated = u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?);
        let is_whole = body.end <= self.bytes.len() && (1..=LAST).contains(&kind);
        (is_whole && self.crc(&header, &body) == stated).then_some(Message {
            header,
            body,
            kind,
            segment,
        })
    }

    fn crc(&self, header: &Range<usize>, body: &Range<usize>) -> u32 {
        let mut crc = Crc::new();
        crc.update(&self.bytes[body.clone()]);
        crc.update(&self.bytes[header.start + 4..header.end]);
        !crc.sum()
    }

    /// A number of variable length, and where it ends.
    fn number(&self, at: usize) -> Option<(u64, usize)> {
        let byte = |offset: usize| self.bytes.get(at + offset).copied().map(u64::from);
        let first = byte(0)?;
        Some(match first {
            0..=240 => (first, at + 1),
            241..=248 => (240 + 256 * (first - 241) + byte(1)?, at + 2),
            249 => (2288 + 256 * byte(1)? + byte(2)?, at + 3),
            _ => {
                let bytes = usize::try_from(first - 247).ok()?;
                let mut number = 0;
                for offset in (1..=bytes).rev() {
                    number = number << 8 | byte(offset)?;
                }
                (number, at + 1 + bytes)
            }
        })
    }
}
