//! One value of a column, with some of its subjects.

/// A value that can be listed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listed {
    Whole(i64),
    Text(String),
}

/// One value.
pub(super) struct Kept {
    /// `None` for a text that is not listed.
    pub(super) value: Option<Listed>,
    /// The smallest hashes of its subjects, ascending.
    pub(super) subjects: Vec<u64>,
}

impl Kept {
    /// With its first subject.
    pub(super) fn new(value: Option<Listed>, subject: u64) -> Self {
        Self {
            value,
            subjects: vec![subject],
        }
    }

    /// The smallest hash of a subject.
    pub(super) fn least(&self) -> u64 {
        self.subjects.first().copied().unwrap_or(u64::MAX)
    }

    /// A subject with a larger hash than those that are kept leaves the sample before them.
    pub(super) fn add(&mut self, subject: u64, most: usize) {
        let Err(at) = self.subjects.binary_search(&subject) else {
            return;
        };
        if at < most {
            self.subjects.insert(at, subject);
            self.subjects.truncate(most);
        }
    }
}
