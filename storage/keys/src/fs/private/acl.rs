//! The part of Linux access control lists that is needed here: `acl(5)`, in the form of `linux/posix_acl_xattr.h`.

use std::{fs::File, io};

use rustix::{fs::fgetxattr, io::Errno};

const NAME: &str = "system.posix_acl_access";
const VERSION: [u8; 4] = [2, 0, 0, 0];
/// A service manager never writes more entries than this.
const MAX_LEN: usize = 4 + 8 * ENTRY;
const ENTRY: usize = 8;

const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const MASK: u16 = 0x10;

/// Whether the file has a list that gives access only to its owner and the account `uid`.
pub(super) fn is_for(file: &File, uid: u32) -> io::Result<bool> {
    let mut list = [0; MAX_LEN];
    match fgetxattr(file, NAME, &mut list) {
        Ok(len) => Ok(list.get(..len).is_some_and(|list| allows_only(list, uid))),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn allows_only(list: &[u8], uid: u32) -> bool {
    let Some((&VERSION, entries)) = list.split_first_chunk() else {
        return false;
    };
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    rest.is_empty() && !entries.is_empty() && entries.iter().all(|entry| is_harmless(*entry, uid))
}

/// An entry has a tag (the kind of subject), permissions, and the id of a named account or group, all little-endian.
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
    /// `ACL_UNDEFINED_ID`, for entries without a named account or group.
    const UNDEFINED_ID: u32 = u32::MAX;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let bytes = |&(tag, may, who): &(u16, u16, u32)| {
            [tag.to_le_bytes().as_slice(), &may.to_le_bytes(), &who.to_le_bytes()].concat()
        };
        [VERSION.to_vec(), entries.iter().flat_map(bytes).collect()].concat()
    }

    /// `r--r-----+ root root`, as systemd 254 and later pass a credential to `User=`.
    fn credential_acl(uid: u32) -> Vec<(u16, u16, u32)> {
        vec![
            (OWNER, 4, UNDEFINED_ID),
            (USER, 4, uid),
            (GROUP, 0, UNDEFINED_ID),
            (MASK, 4, UNDEFINED_ID),
            (OTHER, 0, UNDEFINED_ID),
        ]
    }

    #[test]
    fn acl_that_names_one_account_allows_only_that_account() {
        assert!(allows_only(&list(&credential_acl(990)), 990));
        assert!(!allows_only(&list(&credential_acl(991)), 990));
    }

    #[test]
    fn acl_that_names_only_this_account_lets_the_file_be_read() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credential");
        std::fs::write(&path, "one small secret").unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        let set_acl = |uid| {
            let list = list(&credential_acl(uid));
            rustix::fs::setxattr(&path, NAME, &list, rustix::fs::XattrFlags::empty())
        };
        if set_acl(uid) == Err(Errno::NOTSUP) {
            println!("skipped: no access control lists in {}", dir.path().display());
            return;
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(
            mode & 0o777,
            0o440,
            "the mask of the list is in place of the group bits"
        );
        assert_eq!(read_private(&path).unwrap().as_slice(), b"one small secret");
        set_acl(uid + 1).unwrap();
        assert!(matches!(read_private(&path), Err(PrivateFileError::Exposed { .. })));
    }

    #[test]
    fn acl_that_allows_anyone_else_is_exposed() {
        for more in [
            (USER, 4, 991),
            (GROUP, 4, UNDEFINED_ID),
            (NAMED_GROUP, 4, 990),
            (OTHER, 4, UNDEFINED_ID),
            (0x40, 4, UNDEFINED_ID),
        ] {
            let mut entries = credential_acl(990);
            entries.retain(|(tag, ..)| *tag == USER || *tag != more.0);
            entries.push(more);
            assert!(!allows_only(&list(&entries), 990), "{more:?}");
        }
    }

    #[test]
    fn acl_that_is_malformed_allows_no_one() {
        let good = list(&credential_acl(990));
        for len in (0..good.len()).filter(|len| len % ENTRY != 4 || *len == 4) {
            assert!(!allows_only(&good[..len], 990), "{len} bytes");
        }
        let mut other = good;
        other[0] = 3;
        assert!(!allows_only(&other, 990), "another version");
    }
}
