//! Edges of whole numbers of which a few are those of most subjects: days of supply, numbers of visits.
//!
//! 1. Frequent are the values that most subjects have, at most 12, each of them `least`.
//! 2. If four of five subjects have one of these, each band begins at one, and conditions distinguish it from what is below and above it,
//!    too. What is between two of them may be of few subjects, like the values that a list leaves out: whether there is an edge depends on
//!    the frequent values alone.
//! 3. Otherwise, as for numbers that are measured, the edges are round numbers: single values would be those of too few subjects of a group.

use super::{
    edges::{ENOUGH_EDGES, round_edges, separated},
    round_numbers::{MAX_EDGES, below_edge},
};

/// Edges of whole numbers.
pub(super) struct WholeBands {
    /// Where what conditions distinguish begins.
    pub(super) edges: Vec<f64>,
    /// Where bands begin: some of the edges. At least `least` values are in each.
    pub(super) bands: Vec<f64>,
}

impl WholeBands {
    /// Those of these values, which are whole numbers and ascend.
    pub(super) fn of(values: &[f64], least: usize) -> Self {
        let round = round_edges(values, least, true);
        let frequent = Frequent::of(values, least);
        if !frequent.are_most(values.len()) {
            return Self {
                edges: round.clone(),
                bands: round,
            };
        }
        let by_value = separated(values, frequent.values.iter().copied(), least);
        let bands = if by_value.len() < ENOUGH_EDGES && by_value.len() < round.len() {
            round
        } else {
            by_value
        };
        let beside = frequent.values.iter().flat_map(|value| [*value, value + 1.0]);
        let has_both_sides = |edge: &f64| {
            let below = below_edge(values, *edge);
            below >= least && values.len() - below >= least
        };
        let mut edges: Vec<f64> = beside.filter(has_both_sides).chain(bands.iter().copied()).collect();
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup();
        Self { edges, bands }
    }
}

/// The values that most subjects have, ascending.
struct Frequent {
    values: Vec<f64>,
    subjects: usize,
}

impl Frequent {
    fn of(values: &[f64], least: usize) -> Self {
        let equal = values.chunk_by(|a, b| a == b);
        let counted = equal.filter_map(|equal| Some((equal.len(), *equal.first()?)));
        let mut counted: Vec<(usize, f64)> = counted.filter(|(count, _)| *count >= least).collect();
        counted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
        counted.truncate(MAX_EDGES);
        let subjects = counted.iter().map(|(count, _)| count).sum();
        let mut values: Vec<f64> = counted.into_iter().map(|(_, value)| value).collect();
        values.sort_unstable_by(f64::total_cmp);
        Self { values, subjects }
    }

    /// Whether four of five of this many subjects have one of them.
    fn are_most(&self, of: usize) -> bool {
        self.subjects >= of - of / 5
    }
}
