//! The hospitals.

/// A hospital of the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Cleveland, United States: every finding recorded.
    Cleveland,
    /// Budapest, Hungary: younger subjects, `slope`, `ca` and `thal` mostly missing.
    Budapest,
    /// Zurich, Switzerland: mostly ill men, `chol` and `ca` mostly missing.
    Zurich,
}
