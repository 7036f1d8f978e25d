//! What the answer of a holder costs, by what is known before it is queried: the rows of its catalog, the terms, and the form of the answer.
//!
//! No figure here is a promise: the numbers of rows are rounded, conditions are taken to be true of all of them, and how fast a holder is depends on
//! its machine.

use concordat_protocol::scope::Tier;
use concordat_protocol::wire::messages::EstimatedTerms;

use crate::federation::planned_part::AnswerRows;

/// The shortest class of time, in milliseconds; each further one is twice as long.
const SHORTEST_MS: u64 = 32;
/// What a small query takes, in milliseconds (docs/benchmarks.md, small queries).
const SMALL_MS: u64 = 12;
/// Rows that a holder scans in a millisecond: 10,000,000 in a second, a fifth of what one that does nothing else does
/// (docs/benchmarks.md, scan, filter, group).
const ROWS_A_MS: u64 = 10_000;
/// Bytes of an answer that a holder sends in a millisecond: 100 MiB in a second (docs/benchmarks.md, queries for records).
const BYTES_A_MS: u64 = 104_858;

/// What is known of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The form of its rows.
    pub(super) rows: AnswerRows,
    /// About how many bytes each of them takes.
    pub(super) row_bytes: u64,
    /// About how many rows are read for it, if the catalog lists them.
    pub(super) rows_read: Option<u64>,
    /// Whether they are of several datasets, whose rows are combined.
    pub(super) joined: bool,
    /// How many cells it has by the declarations of its columns, if they are known: each is then a row, whether or not it is shown.
    pub(super) cells: Option<u64>,
}

/// What it costs at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// About how many rows it has.
    pub(super) rows: Option<u64>,
    /// About how many bytes.
    pub(super) bytes: Option<u64>,
    /// The class of time, in milliseconds.
    pub(super) ms: Option<u64>,
}

/// The cost of an answer under these terms.
pub(super) fn cost(answer: Answer, terms: &EstimatedTerms) -> Cost {
    let rows = most_rows(answer, terms);
    let bytes = rows.map(|rows| rows.saturating_mul(answer.row_bytes));
    let ms = answer.rows_read.zip(bytes).map(|(read, bytes)| time_class(read, bytes));
    Cost { rows, bytes, ms }
}

fn most_rows(answer: Answer, terms: &EstimatedTerms) -> Option<u64> {
    let Answer {
        rows,
        rows_read,
        joined,
        cells,
        ..
    } = answer;
    let of_form = match rows {
        AnswerRows::One => Some(1),
        // A group that is shown has so many subjects, and each of them has a row.
        AnswerRows::Groups if terms.tier < Tier::Records => {
            let shown = rows_read.filter(|_| !joined);
            let shown = shown.and_then(|read| read.checked_div(u64::from(terms.limits.min_cell.max(1))));
            cells.or(shown)
        }
        AnswerRows::Groups | AnswerRows::Records => rows_read.filter(|_| !joined),
    };
    match (of_form, terms.limits.max_rows) {
        (Some(rows), Some(most)) => Some(rows.min(most)),
        (one, None) | (None, one) => one,
    }
}

/// The shortest class of time in which so many rows are read, and so many bytes sent.
fn time_class(rows_read: u64, bytes: u64) -> u64 {
    let read = rows_read.div_ceil(ROWS_A_MS);
    let sent = bytes.div_ceil(BYTES_A_MS);
    let ms = SMALL_MS.saturating_add(read).saturating_add(sent);
    let classes = ms.div_ceil(SHORTEST_MS).checked_next_power_of_two();
    classes.map_or(u64::MAX, |classes| classes.saturating_mul(SHORTEST_MS))
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::{Limits, Protection};
    use proptest::prelude::*;

    use super::*;

    fn terms(tier: Tier, min_cell: u32, max_rows: Option<u64>) -> EstimatedTerms {
        EstimatedTerms {
            tier,
            protection: Protection::Exact,
            limits: Limits {
                max_rows,
                min_cell,
                ..Limits::default()
            },
            queries_left: None,
            noise: None,
        }
    }

    fn answer(rows: AnswerRows, rows_read: Option<u64>) -> Answer {
        Answer {
            rows,
            row_bytes: 10,
            rows_read,
            joined: false,
            cells: None,
        }
    }

    #[test]
    fn cost_has_as_many_rows_as_the_form_of_the_answer_permits() {
        let rows = |answer, terms| cost(answer, &terms).rows;
        let aggregate = |max| terms(Tier::Aggregate, 10, max);
        let records = |max| terms(Tier::Records, 10, max);
        let one = answer(AnswerRows::One, None);
        assert_eq!(rows(one, aggregate(None)), Some(1));
        let groups = answer(AnswerRows::Groups, Some(67_000));
        assert_eq!(rows(groups, aggregate(None)), Some(6_700));
        assert_eq!(rows(groups, aggregate(Some(500))), Some(500));
        assert_eq!(rows(groups, records(None)), Some(67_000));
        // Declarations state the cells, of which each is a row.
        let declared = Answer {
            cells: Some(12),
            ..groups
        };
        assert_eq!(rows(declared, aggregate(None)), Some(12));
        // What is not listed is limited by the terms alone, and so is what a join of several datasets returns.
        let unknown = answer(AnswerRows::Records, None);
        assert_eq!(rows(unknown, records(Some(1_000))), Some(1_000));
        assert_eq!(cost(unknown, &records(None)), Cost::default());
        let joined = Answer {
            joined: true,
            ..answer(AnswerRows::Records, Some(67_000))
        };
        assert_eq!(rows(joined, records(None)), None);
        assert_eq!(rows(joined, records(Some(5))), Some(5));
        // A minimum of zero, which no grant has, divides nothing by zero.
        assert_eq!(rows(groups, terms(Tier::Count, 0, None)), Some(67_000));
    }

    #[test]
    fn cost_in_time_is_a_power_of_two() {
        let ms = |read, row_bytes| {
            let answer = Answer {
                row_bytes,
                ..answer(AnswerRows::Records, Some(read))
            };
            cost(answer, &terms(Tier::Records, 10, None)).ms.unwrap()
        };
        assert_eq!(ms(0, 0), 32);
        assert_eq!(ms(200_000, 0), 32);
        assert_eq!(ms(200_001, 0), 64);
        // 40 MB take 382 ms, and a million rows 100 ms.
        assert_eq!(ms(1_000_000, 40), 512);
        assert_eq!(ms(u64::MAX, u64::MAX), 1 << 51);
    }

    proptest! {
        /// More rows never cost less, and a class is at most twice as long as it has to be.
        #[test]
        fn cost_grows_with_rows(read in 0..1_u64 << 40, more in 0..1_u64 << 40, bytes in 0..1_u64 << 50) {
            let (one, other) = (time_class(read, bytes), time_class(read + more, bytes));
            prop_assert!(one <= other);
            let needed = 12 + read.div_ceil(10_000) + bytes.div_ceil(104_858);
            prop_assert!(one >= needed && (one == 32 || one < 2 * needed.max(17)));
            prop_assert!((one / 32).is_power_of_two());
        }
    }
}
