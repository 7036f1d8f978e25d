//! Units and the subjects that they belong to.

/// Which subject a unit belongs to.
pub trait OwnersOf {
    /// The subject of each of `units`, in their order; `None` for a unit without one. It must be the same at each call.
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>>;
}

/// The owners in a space of subjects: each unit is one.
#[derive(Clone, Copy, Debug)]
pub struct Themselves;

impl OwnersOf for Themselves {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        units.iter().copied().map(Some).collect()
    }
}
