//! Fields of a record.

/// The mark of the extra field with numbers of 64 bits.
const LARGE: u64 = 1;

/// Fields of a record, one after the other; `None` at the end of the record.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The bytes with which a record begins.
    pub(super) fn mark(&mut self, mark: &[u8; 4]) -> Option<()> {
        (self.take(mark.len())? == mark).then_some(())
    }

    /// A number of `N` bytes, at most eight, the least significant first.
    pub(super) fn number<const N: usize>(&mut self) -> Option<u64> {
        let bytes = self.take(N)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    }

    /// The extra field with numbers of 64 bits; empty if there is none.
    pub(super) fn large(&mut self) -> &'a [u8] {
        loop {
            let (Some(mark), Some(length)) = (self.number::<2>(), self.number::<2>()) else {
                return &[];
            };
            let Some(field) = usize::try_from(length).ok().and_then(|length| self.take(length)) else {
                return &[];
            };
            if mark == LARGE {
                return field;
            }
        }
    }
}
