//! `[import]`: the folders with files that the node itself may open.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::reader::Section;
use super::writer::list;

/// `[import]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportSection {
    /// The folders below which a steward may name a file. If there are none, clients send all files.
    pub inboxes: Vec<Inbox>,
}

/// A folder, by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox(PathBuf);

impl Inbox {
    /// The folder, and the rest of a path below it; `None` if the path is not below it.
    pub fn of<'a>(&self, path: &'a Path) -> Option<(&Path, &'a Path)> {
        let below = path.strip_prefix(&self.0).ok()?;
        (!below.as_os_str().is_empty()).then_some((self.0.as_path(), below))
    }
}

/// A path that is not a valid inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an absolute path, and not the root itself")]
pub struct InvalidInbox;

impl FromStr for Inbox {
    type Err = InvalidInbox;

    fn from_str(text: &str) -> Result<Self, InvalidInbox> {
        let path = PathBuf::from(text);
        let is_valid = path.is_absolute() && path.components().nth(1).is_some();
        is_valid.then_some(Self(path)).ok_or(InvalidInbox)
    }
}

impl fmt::Display for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

pub(super) fn import(section: &mut Section<'_>) -> ImportSection {
    ImportSection {
        inboxes: section.list("inboxes").unwrap_or_default(),
    }
}

/// The section as `init` writes it.
impl fmt::Display for ImportSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "[import]\n# folders below which a steward may name a file that the node opens itself; clients send other files"
        )?;
        writeln!(f, "inboxes = {}", list(&self.inboxes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_holds_what_lies_below_it() {
        let inbox: Inbox = "/srv/inbox".parse().unwrap();
        assert_eq!(
            inbox.of(Path::new("/srv/inbox/a/b.csv")),
            Some((Path::new("/srv/inbox"), Path::new("a/b.csv")))
        );
        for path in [
            "/srv/inbox",
            "/srv/inbox2/a",
            "/srv",
            "srv/inbox/a",
            "/srv/../srv/inbox/a",
        ] {
            assert_eq!(inbox.of(Path::new(path)), None, "{path}");
        }
        for text in ["", "/", "inbox", "./inbox"] {
            assert_eq!(text.parse::<Inbox>(), Err(InvalidInbox), "{text}");
        }
    }
}
