//! The subjects that a permission is about.

use arrow::buffer::BooleanBuffer;

/// A set of ordinals of subjects; clones have the same memory.
#[derive(Clone, Debug)]
pub(crate) struct Cohort(BooleanBuffer);

impl Cohort {
    /// The ordinals that are set in `subjects`.
    pub(crate) const fn new(subjects: BooleanBuffer) -> Self {
        Self(subjects)
    }

    pub(super) fn contains(&self, ordinal: u32) -> bool {
        // An ordinal that was given after the set was made is not in it.
        usize::try_from(ordinal).is_ok_and(|at| at < self.0.len() && self.0.value(at))
    }
}
