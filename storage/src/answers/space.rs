//! Which answers are counted together.

use std::fmt;

use concordat_protocol::ids::{CreationId, DatasetName, InstitutionId};

/// Whose answers are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryOwner {
    /// Those of the people of one institution.
    Institution(InstitutionId),
    /// Those of all institutions.
    Everyone,
}

/// What the released sets are sets of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryUnit {
    /// Subjects.
    Subjects,
    /// Rows of one dataset.
    Rows(DatasetName),
}

/// What one owner was answered about one creation of a dataset, in one unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySpace {
    created: CreationId,
    owner: MemoryOwner,
    unit: MemoryUnit,
}

impl MemorySpace {
    /// The space of an owner and unit. A dataset that was imported after another of the same name was erased has spaces of its own.
    #[must_use]
    pub const fn new(created: CreationId, owner: MemoryOwner, unit: MemoryUnit) -> Self {
        Self { created, owner, unit }
    }

    /// The dataset.
    #[must_use]
    pub const fn created(&self) -> CreationId {
        self.created
    }

    /// The dataset of a space whose head has this key in the state; `None` if it is no such key.
    pub(super) fn created_in(key: &str) -> Option<CreationId> {
        key.split_once('/').and_then(|(created, _)| created.parse().ok())
    }
}

impl fmt::Display for MemorySpace {
    /// The key of its head in the state: no two spaces have the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.created)?;
        match &self.owner {
            MemoryOwner::Institution(institution) => write!(f, "institution/{institution}/")?,
            MemoryOwner::Everyone => f.write_str("everyone/")?,
        }
        match &self.unit {
            MemoryUnit::Subjects => f.write_str("subjects"),
            MemoryUnit::Rows(dataset) => write!(f, "rows/{dataset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn memory_spaces_have_different_keys() {
        let created = [1, 2].map(|byte| CreationId::from_bytes([byte; 16]));
        let institution = |name| MemoryOwner::Institution(InstitutionId::new(name).unwrap());
        let rows = |name| MemoryUnit::Rows(DatasetName::new(name).unwrap());
        let owners = [MemoryOwner::Everyone, institution("everyone"), institution("cleveland")];
        let units = [MemoryUnit::Subjects, rows("subjects"), rows("heart")];
        let mut keys = BTreeSet::new();
        for created in &created {
            let created = *created;
            for owner in &owners {
                for unit in &units {
                    let key = MemorySpace::new(created, owner.clone(), unit.clone()).to_string();
                    assert_eq!(MemorySpace::created_in(&key), Some(created));
                    assert!(keys.insert(key));
                }
            }
        }
        assert_eq!(keys.len(), 18);
        let of_first = keys
            .iter()
            .filter(|key| MemorySpace::created_in(key) == Some(created[0]));
        assert_eq!(of_first.count(), 9);
        assert_eq!(MemorySpace::created_in("everyone/subjects"), None);
    }
}
