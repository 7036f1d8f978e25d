//! The keys of the sets of a grid, by which thresholds and noise are drawn.

use super::error::DecideError;
use super::grid::{Grid, ReportedSet};
use super::keys::CellKeys;
use super::rules::DisclosureRules;
use crate::UnitSet;
use crate::answer::Mode;
use crate::perturbation::CellKey;
use crate::space::{Space, SpaceError};

/// The keys of a set.
pub(super) struct SetKeys {
    pub(super) subjects: CellKey,
    /// Of its units: of the rows, where they are counted and have noise.
    pub(super) units: CellKey,
    /// Of its parts.
    pub(super) parts: Vec<CellKey>,
}

/// The keys of all sets, each kind computed in one pass over its units.
pub(super) fn keys_of(
    grid: &Grid<'_>,
    rules: &DisclosureRules,
    (subjects, rows): (&Space, Option<&Space>),
    keys: &CellKeys,
) -> Result<Vec<Vec<SetKeys>>, DecideError> {
    // Keys of rows decide on noise only, and there are many more rows than subjects.
    let has_noise = rules.mode() == Mode::Perturbed;
    let mut of_subjects: Vec<&UnitSet> = Vec::new();
    let mut of_rows: Vec<&UnitSet> = Vec::new();
    for set in grid.cells().iter().flatten() {
        of_subjects.push(set.subjects);
        of_rows.extend(set.rows.as_ref().filter(|_| has_noise).map(|rows| rows.units));
        let parts = set.parts.iter().map(|part| &*part.units);
        match &set.rows {
            Some(_) => of_rows.extend(parts),
            None => of_subjects.extend(parts),
        }
    }
    let version = grid.version();
    let of_subjects = keys.of_subjects(&of_subjects, version, subjects.epochs());
    let of_rows = rows.map(|rows| keys.of_rows(&of_rows, version, rows.epochs()));
    let mut found = FoundKeys {
        subjects: of_subjects.map_err(SpaceError::from)?.into_iter(),
        rows: of_rows
            .transpose()
            .map_err(SpaceError::from)?
            .unwrap_or_default()
            .into_iter(),
        has_noise,
    };
    let of_cell =
        |cell: &Vec<ReportedSet<'_>>| -> Option<Vec<SetKeys>> { cell.iter().map(|set| found.of(set)).collect() };
    let all: Option<Vec<Vec<SetKeys>>> = grid.cells().iter().map(of_cell).collect();
    all.ok_or(DecideError::Shape)
}

/// Keys in the order of the sets.
struct FoundKeys {
    subjects: std::vec::IntoIter<CellKey>,
    rows: std::vec::IntoIter<CellKey>,
    has_noise: bool,
}

impl FoundKeys {
    fn of(&mut self, set: &ReportedSet<'_>) -> Option<SetKeys> {
        let subjects = self.subjects.next()?;
        let units = match &set.rows {
            Some(_) if self.has_noise => self.rows.next()?,
            Some(_) | None => subjects.clone(),
        };
        let of_parts = if set.rows.is_some() {
            &mut self.rows
        } else {
            &mut self.subjects
        };
        let parts: Vec<CellKey> = of_parts.by_ref().take(set.parts.len()).collect();
        (parts.len() == set.parts.len()).then_some(SetKeys { subjects, units, parts })
    }
}
