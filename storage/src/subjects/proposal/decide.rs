//! From what was observed to what is proposed.

use concordat_protocol::schema::is_age;

use super::{
    edges::{age_edges, day_edges, range, round_edges, year_edges},
    frequent::MAX_FREQUENT,
    kept::Listed,
    levels::{ColumnProposal, ProposedLevels, ProposedRange},
    numbers::Numbers,
    observed::{Observed, ObservedColumn},
    sample::Sample,
    values::{Counted, Values},
    whole_bands::WholeBands,
};

/// Whole numbers with more different values are measured, unless their name is that of a code.
const MAX_CATEGORIES: usize = 20;
/// Fewer whole numbers are categories.
const MIN_AMOUNTS: usize = 4;
/// Texts that have fewer subjects each are names.
const SUBJECTS_PER_CODE: f64 = 2.0;
/// Whole numbers that have fewer subjects each number something. Measured ones of a small dataset may be close to it.
const SUBJECTS_PER_NUMBER: f64 = 1.1;
/// Years in which people live.
const YEARS: std::ops::RangeInclusive<f64> = 1800.0..=2200.0;
/// The last words of the names of codes.
const CODE_WORDS: [&str; 4] = ["code", "concept", "id", "type"];

/// What is proposed for a column.
pub(super) fn proposal(column: ObservedColumn, subjects: &Sample, least: usize) -> ColumnProposal {
    let name = column.name;
    let decided = match column.observed {
        Observed::Wholes(_, values) | Observed::Texts(values) if column.is_coded => {
            (declared_list(values.counted(subjects, least)), None)
        }
        Observed::Empty => (ProposedLevels::None, None),
        Observed::Truth => (ProposedLevels::Truth, None),
        Observed::Wholes(numbers, values) => wholes(&name, &numbers, values, subjects, least),
        Observed::Numbers(numbers) => {
            let numbers = numbers.sorted(subjects);
            let edges = round_edges(&numbers, least, false);
            (
                edges_or_none(edges, ProposedLevels::NumberEdges),
                range(&numbers, least),
            )
        }
        Observed::Days(days) => {
            let edges = day_edges(&days.sorted(subjects), least);
            let edges = edges.into_iter().filter_map(|day| i32::try_from(whole(day)).ok());
            (edges_or_none(edges.collect(), ProposedLevels::DayEdges), None)
        }
        Observed::Texts(values) => (codes(values.counted(subjects, least)), None),
    };
    ColumnProposal {
        column: name,
        levels: decided.0,
        range: decided.1,
    }
}

fn wholes(
    name: &str,
    numbers: &Numbers,
    values: Values,
    subjects: &Sample,
    least: usize,
) -> (ProposedLevels, Option<ProposedRange>) {
    let counted = values.counted(subjects, least);
    if counted.subjects_each < SUBJECTS_PER_NUMBER {
        return (ProposedLevels::None, None);
    }
    let numbers = numbers.sorted(subjects);
    let measured = |edges: Vec<f64>| {
        let edges = edges.into_iter().map(whole).collect();
        edges_or_none(edges, ProposedLevels::WholeEdges)
    };
    if is_age(name) {
        (measured(age_edges(&numbers, least)), range(&numbers, least))
    } else if is_year(name) && numbers.iter().all(|number| YEARS.contains(number)) {
        (measured(year_edges(&numbers, least)), None)
    } else if is_code(name) {
        (codes(counted), None)
    } else {
        let is_short = counted.number.is_some_and(|number| number <= MAX_CATEGORIES);
        let levels = if is_short && !are_amounts(&counted.common) {
            ProposedLevels::None
        } else {
            bands(&WholeBands::of(&numbers, least))
        };
        let levels = if is_short && levels == ProposedLevels::None {
            codes(counted)
        } else {
            levels
        };
        (levels, range(&numbers, least))
    }
}

/// Whether a few whole numbers are amounts, which conditions compare by their order, and not numbers of categories: they begin near zero
/// and are far from each other. The first and the last are left out, because one is often that of answers that are missing, such as 99.
fn are_amounts(common: &[Listed]) -> bool {
    let numbers = common.iter().filter_map(|value| match value {
        Listed::Whole(number) => Some(i128::from(*number)),
        Listed::Text(_) => None,
    });
    let numbers: Vec<i128> = numbers.collect();
    let ([first, inner @ .., last], true) = (numbers.as_slice(), numbers.len() >= MIN_AMOUNTS) else {
        return false;
    };
    let width = inner.first().zip(inner.last()).map_or(0, |(low, high)| high - low);
    let is_wide = i128::try_from(inner.len()).is_ok_and(|len| width >= 4 * len);
    is_wide && *first < last - first
}

/// Edges of whole numbers, with bands for groups where these are fewer.
fn bands(found: &WholeBands) -> ProposedLevels {
    let wholes = |edges: &[f64]| edges.iter().copied().map(whole).collect::<Vec<i64>>();
    let edges = wholes(&found.edges);
    let bands = wholes(&found.bands);
    if bands.is_empty() || edges == bands {
        edges_or_none(edges, ProposedLevels::WholeEdges)
    } else {
        ProposedLevels::WholeBands { edges, bands }
    }
}

/// The values that enough subjects have, if there are not too many of them and all are known.
fn codes(counted: Counted) -> ProposedLevels {
    if counted.subjects_each < SUBJECTS_PER_CODE || counted.common.is_empty() {
        return ProposedLevels::None;
    }
    if counted.number.is_none() || counted.common.len() > MAX_FREQUENT {
        return open_list(counted);
    }
    let (wholes, texts) = by_kind(counted.common);
    if texts.is_empty() {
        ProposedLevels::Wholes(wholes)
    } else {
        ProposedLevels::Texts(texts)
    }
}

/// What is added to a declared list, whatever its codes look like: those that most subjects have.
fn declared_list(counted: Counted) -> ProposedLevels {
    if counted.frequent.is_empty() {
        ProposedLevels::None
    } else {
        open_list(counted)
    }
}

/// An open list, with the values in it that most subjects have.
fn open_list(counted: Counted) -> ProposedLevels {
    let (wholes, texts) = by_kind(counted.frequent);
    ProposedLevels::Codes { wholes, texts }
}

fn by_kind(values: Vec<Listed>) -> (Vec<i64>, Vec<String>) {
    let mut wholes = Vec::new();
    let mut texts = Vec::new();
    for value in values {
        match value {
            Listed::Whole(value) => wholes.push(value),
            Listed::Text(value) => texts.push(value),
        }
    }
    (wholes, texts)
}

fn edges_or_none<T>(edges: Vec<T>, levels: impl FnOnce(Vec<T>) -> ProposedLevels) -> ProposedLevels {
    if edges.is_empty() {
        ProposedLevels::None
    } else {
        levels(edges)
    }
}

fn is_year(name: &str) -> bool {
    name.split('_').any(|part| part.eq_ignore_ascii_case("year"))
}

fn is_code(name: &str) -> bool {
    let last = name.rsplit('_').next().unwrap_or_default();
    CODE_WORDS.iter().any(|code| last.eq_ignore_ascii_case(code))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "edges between whole numbers that are exact in floating point"
)]
fn whole(edge: f64) -> i64 {
    edge as i64
}
