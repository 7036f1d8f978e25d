//! Access control lists of Linux, as far as one has to be understood: `acl(5)`, in the form of `linux/posix_acl_xattr.h`.

use std::{fs::File, io};

use rustix::{fs::fgetxattr, io::Errno};

const NAME: &str = "system.posix_acl_access";
const VERSION: [u8; 4] = [2, 0, 0, 0];
/// More entries than this are none that a service manager makes.
const MAX_LEN: usize = 4 + 8 * ENTRY;
const ENTRY: usize = 8;

const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const MASK: u16 = 0x10;

/// Whether the file has a list, and by it only its owner and the account `uid` may do anything with it.
pub(super) fn is_for(file: &File, uid: u32) -> io::Result<bool> {
    let mut list = [0; MAX_LEN];
    match fgetxattr(file, NAME, &mut list) {
        Ok(len) => Ok(list.get(..len).is_some_and(|list| lets_in_only(list, uid))),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn lets_in_only(list: &[u8], uid: u32) -> bool {
    let Some((&VERSION, entries)) = list.split_first_chunk() else {
        return false;
    };
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    rest.is_empty() && !entries.is_empty() && entries.iter().all(|entry| is_harmless(*entry, uid))
}

/// An entry is who it is for, what they may do, and for named accounts and groups which: little-endian.
fn is_harmless([tag @ .., a, b, c, d, e, f]: [u8; ENTRY], uid: u32) -> bool {
    match u16::from_le_bytes(tag) {
        OWNER | MASK => true,
        USER if u32::from_le_bytes([c, d, e, f]) == uid => true,
        _ => [a, b] == [0, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{PrivateFileError, read_private};

    const GROUP: u16 = 0x04;
    const NAMED_GROUP: u16 = 0x08;
    const OTHER: u16 = 0x20;
    const NOBODY: u32 = u32::MAX;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let bytes = |&(tag, may, who): &(u16, u16, u32)| {
            [tag.to_le_bytes().as_slice(), &may.to_le_bytes(), &who.to_le_bytes()].concat()
        };
        [VERSION.to_vec(), entries.iter().flat_map(bytes).collect()].concat()
    }

    /// `r--r-----+ root root`, as systemd 254 and later hand over a credential to `User=`.
    fn handed_to(uid: u32) -> Vec<(u16, u16, u32)> {
        vec![
            (OWNER, 4, NOBODY),
            (USER, 4, uid),
            (GROUP, 0, NOBODY),
            (MASK, 4, NOBODY),
            (OTHER, 0, NOBODY),
        ]
    }

    #[test]
    fn a_list_that_names_one_account_is_for_that_account() {
        assert!(lets_in_only(&list(&handed_to(990)), 990));
        assert!(!lets_in_only(&list(&handed_to(991)), 990));
    }

    #[test]
    fn a_file_is_read_if_its_list_names_this_account_alone() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credential");
        std::fs::write(&path, "one small secret").unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        let hand_to = |uid| {
            let list = list(&handed_to(uid));
            rustix::fs::setxattr(&path, NAME, &list, rustix::fs::XattrFlags::empty())
        };
        if hand_to(uid) == Err(Errno::NOTSUP) {
            println!("skipped: no access control lists in {}", dir.path().display());
            return;
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(
            mode & 0o777,
            0o440,
            "the mask of the list stands where the group's bits would"
        );
        assert_eq!(read_private(&path).unwrap().as_slice(), b"one small secret");
        hand_to(uid + 1).unwrap();
        assert!(matches!(read_private(&path), Err(PrivateFileError::Exposed { .. })));
    }

    #[test]
    fn whoever_else_is_let_in_makes_it_exposed() {
        for more in [
            (USER, 4, 991),
            (GROUP, 4, NOBODY),
            (NAMED_GROUP, 4, 990),
            (OTHER, 4, NOBODY),
            (0x40, 4, NOBODY),
        ] {
            let mut entries = handed_to(990);
            entries.retain(|(tag, ..)| *tag == USER || *tag != more.0);
            entries.push(more);
            assert!(!lets_in_only(&list(&entries), 990), "{more:?}");
        }
    }

    #[test]
    fn what_is_no_list_lets_in_nobody() {
        let good = list(&handed_to(990));
        for len in (0..good.len()).filter(|len| len % ENTRY != 4 || *len == 4) {
            assert!(!lets_in_only(&good[..len], 990), "{len} bytes");
        }
        let mut other = good;
        other[0] = 3;
        assert!(!lets_in_only(&other, 990), "another version");
    }
}
