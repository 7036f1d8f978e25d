//! Figures that were released, each with the truth.

use super::answer::ProbeAnswer;
use super::statement::ProbeStatement;
use super::truth::CellTruth;
use crate::canary::Canary;

/// A figure that was released.
pub(super) struct Released {
    pub(super) statement: ProbeStatement,
    pub(super) label: Option<String>,
    pub(super) truth: CellTruth,
    pub(super) value: f64,
}

impl Released {
    /// By how much it differs from the truth.
    pub(super) fn deviation(&self) -> f64 {
        self.value - self.truth.value()
    }
}

/// The figures of one answer, each with the truth.
pub(super) fn released(canary: &Canary, statement: ProbeStatement, answer: &ProbeAnswer) -> Vec<Released> {
    let ProbeAnswer::Cells(cells) = answer else {
        return Vec::new();
    };
    let truths = statement.truths(canary);
    let released = cells.iter().filter_map(|cell| {
        let label = cell.label.as_ref().map(ToString::to_string);
        let truth = truths.get(&label).copied().unwrap_or(CellTruth::EMPTY);
        let value = cell.value?.get();
        Some(Released {
            statement,
            label,
            truth,
            value,
        })
    });
    released.collect()
}
