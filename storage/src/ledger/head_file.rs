//! The head on disk: two slots that are written in turn, so that a torn write leaves the other one.
//!
//! A slot is 512 bytes, the unit that disks write at once: the length of the sealed head (2 bytes, big endian), the sealed head, zeros. A
//! file with one sealed head and nothing else is that of a snapshot, or of an earlier version; it becomes slots when it is opened for
//! appends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use concordat_keys::LedgerKey;
use concordat_keys::fs::{open_or_create_regular, write_private};

use super::LedgerError;
use super::files::{head_path, read_small};
use super::format::Head;

/// Bytes of one slot.
const SLOT: usize = 512;
/// Bytes of the length at the begin of a slot.
const PREFIX: usize = 2;
/// Longest file that is read; both the one sealed head and the slots are shorter.
const MAX_FILE: u64 = 4096;

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    /// The slot that is written next.
    next: u64,
}

impl HeadFile {
    /// Makes a file with `sealed` in both slots; it is on disk when this returns.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn create(dir: &Path, sealed: &[u8]) -> io::Result<Self> {
        let path = head_path(dir);
        let slot = slot_of(sealed)?;
        write_private(&path, &[slot.clone(), slot].concat())?;
        let file = open_or_create_regular(&path)?;
        Ok(Self { file, next: 1 })
    }

    /// Writes over the older head. The older one may be there again after a power cut.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn put(&mut self, sealed: &[u8]) -> io::Result<()> {
        let offset = self.next.saturating_mul(SLOT as u64);
        self.file.write_all_at(&slot_of(sealed)?, offset)?;
        self.next ^= 1;
        Ok(())
    }
}

/// What the file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The newest head that opens.
    pub(super) head: Head,
    /// Whether every slot is as it was written. One that is not may have been torn by a power cut; the next start writes both again.
    pub(super) is_whole: bool,
}

/// The newest head on disk; `None` if there is no such file.
///
/// # Errors
/// [`LedgerError::Damaged`] if there is none that opens.
pub(super) fn read(dir: &Path, key: &LedgerKey) -> Result<Option<Found>, LedgerError> {
    let Some(bytes) = read_small(&head_path(dir), MAX_FILE)? else {
        return Ok(None);
    };
    if bytes.len() != 2 * SLOT {
        let head = Head::open(key, bytes)?;
        return Ok(Some(Found { head, is_whole: true }));
    }
    let slots = bytes.chunks_exact(SLOT);
    let heads = slots.map(|slot| Head::open(key, sealed_in(slot)?).ok());
    let is_whole = heads.clone().all(|head| head.is_some());
    let newest = heads.flatten().max_by_key(|head| head.size);
    let head = newest
        .ok_or_else(|| LedgerError::damaged(0, "no head opens: they were changed, or sealed under another key"))?;
    Ok(Some(Found { head, is_whole }))
}

fn slot_of(sealed: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::other("the sealed head is longer than its slot");
    let length = u16::try_from(sealed.len()).map_err(|_| too_long())?;
    let mut slot = length.to_be_bytes().to_vec();
    slot.extend_from_slice(sealed);
    if slot.len() > SLOT {
        return Err(too_long());
    }
    slot.resize(SLOT, 0);
    Ok(slot)
}

fn sealed_in(slot: &[u8]) -> Option<Vec<u8>> {
    let (prefix, rest) = slot.split_first_chunk::<PREFIX>()?;
    let length = usize::from(u16::from_be_bytes(*prefix));
    let (sealed, padding) = rest.split_at_checked(length)?;
    let is_written = !sealed.is_empty() && padding.iter().all(|byte| *byte == 0);
    is_written.then(|| sealed.to_vec())
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
    use concordat_protocol::ids::Digest32;

    use super::*;

    fn key(dir: &Path) -> LedgerKey {
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        MasterKey::create(&dir.join("master.key"), &source).unwrap().ledger()
    }

    fn head(size: u64) -> Head {
        Head {
            size,
            root: Digest32::from_bytes([7; 32]),
            length: size,
        }
    }

    fn found(dir: &Path, key: &LedgerKey) -> (u64, bool) {
        let found = read(dir, key).unwrap().unwrap();
        assert_eq!(found.head, head(found.head.size));
        (found.head.size, found.is_whole)
    }

    #[test]
    fn head_is_the_newest_that_opens() {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path());
        assert!(read(dir.path(), &key).unwrap().is_none());
        let mut file = HeadFile::create(dir.path(), &head(0).seal(&key).unwrap()).unwrap();
        assert_eq!(found(dir.path(), &key), (0, true));
        for size in 1..6 {
            file.put(&head(size).seal(&key).unwrap()).unwrap();
            assert_eq!(found(dir.path(), &key), (size, true));
        }
    }

    #[test]
    fn torn_head_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path());
        let mut file = HeadFile::create(dir.path(), &head(8).seal(&key).unwrap()).unwrap();
        file.put(&head(9).seal(&key).unwrap()).unwrap();
        let whole = std::fs::read(head_path(dir.path())).unwrap();
        let length = usize::from(u16::from_be_bytes([whole[SLOT], whole[SLOT + 1]]));
        for torn in 1..PREFIX + length {
            let mut bytes = whole.clone();
            bytes[SLOT + torn..].fill(0);
            std::fs::write(head_path(dir.path()), &bytes).unwrap();
            assert_eq!(found(dir.path(), &key), (8, false), "{torn}");
        }
    }

    #[test]
    fn head_of_a_snapshot_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path());
        std::fs::write(head_path(dir.path()), head(3).seal(&key).unwrap()).unwrap();
        assert_eq!(found(dir.path(), &key), (3, true));
        std::fs::write(head_path(dir.path()), [0; 2 * SLOT]).unwrap();
        assert!(matches!(read(dir.path(), &key), Err(LedgerError::Damaged { .. })));
    }
}
