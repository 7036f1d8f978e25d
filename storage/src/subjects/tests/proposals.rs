use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{BooleanArray, Date32Array, Float64Array, TimestampMillisecondArray, UInt32Array};
use proptest::prelude::*;

use super::*;
use crate::subjects::{ColumnProposal, Proposals, ProposedLevels, ProposedRange, SubjectError};

pub(super) const LEAST: u32 = 10;

pub(super) fn proposals(batches: &[(RecordBatch, UInt32Array)]) -> Vec<ColumnProposal> {
    let schema = batches[0].0.schema();
    let mut proposals = Proposals::new(&key(), &schema, LEAST);
    for (batch, owners) in batches {
        proposals.observe(batch, owners).unwrap();
    }
    proposals.finish()
}

/// What is proposed for one column, each row of which is a subject.
pub(super) fn of_column(name: &str, array: ArrayRef) -> ColumnProposal {
    let owners = UInt32Array::from_iter_values(0..u32::try_from(array.len()).unwrap());
    proposals(&[(batch(vec![(name, array)]), owners)]).remove(0)
}

pub(super) fn of_wholes(name: &str, values: impl Iterator<Item = i64>) -> ColumnProposal {
    of_column(name, wholes(&values.map(Some).collect::<Vec<_>>()))
}

fn of_texts(values: impl Iterator<Item = String>) -> ColumnProposal {
    let values: Vec<String> = values.collect();
    of_column(
        "x",
        texts(&values.iter().map(|value| Some(value.as_str())).collect::<Vec<_>>()),
    )
}

pub(super) fn range(low: f64, high: f64) -> Option<ProposedRange> {
    Some(ProposedRange { low, high })
}

#[test]
fn ages_are_proposed_in_bands_of_ten() {
    let found = of_wholes("age", (0..1_000).map(|row| 20 + row % 71));
    assert_eq!(
        found.levels,
        ProposedLevels::WholeEdges(vec![30, 40, 50, 60, 70, 80, 90])
    );
    assert_eq!(found.range, range(20.0, 90.0));
}

#[test]
fn numbers_are_proposed_at_round_edges() {
    let found = of_column(
        "weight",
        Arc::new(Float64Array::from_iter_values(
            (0..1_000).map(|row| 40.13 + f64::from(row) * 0.07),
        )),
    );
    let ProposedLevels::NumberEdges(edges) = found.levels else {
        panic!("no edges")
    };
    assert_eq!(edges, [50.0, 60.0, 70.0, 80.0, 90.0, 100.0]);
    assert_eq!(found.range, range(40.0, 200.0));
    let small = of_column(
        "x",
        Arc::new(Float64Array::from_iter_values(
            (0..400).map(|row| 0.001 * f64::from(row)),
        )),
    );
    assert_eq!(
        small.levels,
        ProposedLevels::NumberEdges(vec![0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35])
    );
}

#[test]
fn whole_numbers_are_listed_or_measured() {
    let sex = of_wholes(
        "gender_concept_id",
        (0..100).map(|row| if row % 3 == 0 { 8_507 } else { 8_532 }),
    );
    assert_eq!(sex.levels, ProposedLevels::Wholes(vec![8_507, 8_532]));
    assert_eq!(sex.range, None);
    let flag = of_wholes("num", (0..100).map(|row| i64::from(row % 4 == 0)));
    assert_eq!(flag.levels, ProposedLevels::Wholes(vec![0, 1]));
    assert_eq!(flag.range, range(0.0, 1.0));
    let chol = of_wholes("chol", (0..600).map(|row| 130 + row % 200));
    assert_eq!(
        chol.levels,
        ProposedLevels::WholeEdges(vec![150, 175, 200, 225, 250, 275, 300, 325])
    );
    let rare = of_wholes("num", (0..100).map(|row| if row == 0 { 99 } else { row % 2 }));
    assert_eq!(
        rare.levels,
        ProposedLevels::Wholes(vec![0, 1]),
        "99 is that of one subject"
    );
}

#[test]
fn years_and_dates_are_proposed_at_years() {
    let births = of_wholes("year_of_birth", (0..1_000).map(|row| 1_930 + row % 80));
    assert_eq!(
        births.levels,
        ProposedLevels::WholeEdges(vec![1_940, 1_950, 1_960, 1_970, 1_980, 1_990, 2_000])
    );
    assert_eq!(births.range, None);
    // 2000-01-01 is day 10,957.
    let days = (0..1_000).map(|row| 10_957 + row * 3);
    let dates = of_column("seen", Arc::new(Date32Array::from_iter_values(days.clone())));
    let years = [2_001, 2_002, 2_003, 2_004, 2_005, 2_006, 2_007, 2_008].map(|year: i32| {
        let day = chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        i32::try_from(day.signed_duration_since(chrono::NaiveDate::default()).num_days()).unwrap()
    });
    let every_year = ProposedLevels::DayEdges(years.to_vec());
    assert_eq!(dates.levels, every_year);
    let times = days.map(|day| i64::from(day) * 86_400_000 + 3_600_000);
    let times = of_column("seen_at", Arc::new(TimestampMillisecondArray::from_iter_values(times)));
    assert_eq!(times.levels, every_year);
}

#[test]
fn texts_are_listed_if_enough_subjects_have_them() {
    let found = of_texts((0..200).map(|row| match row {
        0..9 => "rare".to_owned(),
        9..100 => "no".to_owned(),
        _ => "yes".to_owned(),
    }));
    assert_eq!(
        found.levels,
        ProposedLevels::Texts(vec!["no".to_owned(), "yes".to_owned()])
    );
    let codes = of_texts((0..8_000).map(|row| format!("C{}", row % 400)));
    let ProposedLevels::Codes { wholes, texts } = codes.levels else {
        panic!("more values than are listed")
    };
    assert!(wholes.is_empty());
    assert_eq!(texts.len(), 200);
    assert!(texts.iter().all(|text| text.starts_with('C')));
    let long = of_texts((0..40).map(|row| if row % 2 == 0 { "x".repeat(200) } else { "y".to_owned() }));
    assert_eq!(long.levels, ProposedLevels::Texts(vec!["y".to_owned()]));
}

#[test]
fn truth_values_are_levels_if_there_are_any() {
    let values = BooleanArray::from(vec![Some(true), None]);
    assert_eq!(of_column("x", Arc::new(values)).levels, ProposedLevels::Truth);
    assert_eq!(
        of_column("x", Arc::new(BooleanArray::from(vec![None, None]))).levels,
        ProposedLevels::None
    );
}

#[test]
fn nothing_is_proposed_for_names_and_numbers_of_rows() {
    assert_eq!(
        of_texts((0..5_000).map(|row| format!("name {row}"))).levels,
        ProposedLevels::None
    );
    let with_unknown = (0..5_000).map(|row| {
        if row % 50 == 0 {
            "unknown".to_owned()
        } else {
            format!("name {row}")
        }
    });
    assert_eq!(of_texts(with_unknown.clone()).levels, ProposedLevels::None);
    assert_eq!(of_texts(with_unknown.take(1_000)).levels, ProposedLevels::None);
    for name in ["visit_occurrence_id", "number"] {
        let found = of_wholes(name, 1_000..6_000);
        assert_eq!((found.levels, found.range), (ProposedLevels::None, None));
    }
    // Numbers of visits that occur in many rows, but always of one subject.
    let visits: Vec<Option<i64>> = (0..3_000).map(|row| Some(row / 3)).collect();
    let owners = UInt32Array::from_iter_values((0..3_000).map(|row| row / 6));
    let found = proposals(&[(batch(vec![("visit", wholes(&visits))]), owners)]);
    assert_eq!(found[0].levels, ProposedLevels::None);
    assert_eq!(found[0].range, None);
}

/// A declared list has the codes of enough subjects, whatever the column looks like; of a code of fewer nothing is known.
#[test]
fn declared_codes_are_listed_if_enough_subjects_have_them() {
    let codes: Vec<Option<i64>> = (0..60)
        .map(|row| Some(if row < 30 { row % 3 } else { 100 + row }))
        .collect();
    let rows = batch(vec![("condition", wholes(&codes))]);
    let owners = UInt32Array::from_iter_values(0..60);
    let of = |least: u32| {
        let proposals = Proposals::new(&key(), &rows.schema(), least);
        let mut proposals = proposals.with_codes(&[0]);
        proposals.observe(&rows, &owners).unwrap();
        let mut found = proposals.finish().remove(0);
        if let ProposedLevels::Codes { wholes, .. } = &mut found.levels {
            wholes.sort_unstable();
        }
        found
    };
    let listed = ProposedLevels::Codes {
        wholes: vec![0, 1, 2],
        texts: Vec::new(),
    };
    assert_eq!((of(10).levels, of(10).range), (listed, None));
    assert_eq!(of(11).levels, ProposedLevels::None);
}

#[test]
fn nothing_is_proposed_from_few_subjects() {
    let few = usize::try_from(LEAST).unwrap() * 2 - 1;
    let numbers = Float64Array::from_iter_values((0..few).map(|row| row as f64));
    assert_eq!(of_column("x", Arc::new(numbers)).levels, ProposedLevels::None);
    let not_finite =
        Float64Array::from_iter_values((0..90).map(|row| [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][row % 3]));
    let found = of_column("x", Arc::new(not_finite));
    assert_eq!((found.levels, found.range), (ProposedLevels::None, None));
}

/// One subject with a million rows of values of its own, among a hundred with one row each.
#[test]
fn one_subject_with_a_million_rows_counts_once() {
    let rows = 1_000_000;
    let mut owners = vec![0; rows];
    owners.extend(1..=100);
    let mut numbers: Vec<f64> = (0..rows).map(|row| 1e6 + row as f64).collect();
    numbers.extend((1..=100).map(f64::from));
    let mut codes = vec![Some("own"); rows];
    codes.extend([Some("shared by all"); 100]);
    let with = batch(vec![
        ("n", Arc::new(Float64Array::from(numbers)) as ArrayRef),
        ("t", texts(&codes)),
    ]);
    let found = proposals(&[(with, UInt32Array::from(owners))]);
    let numbers = Float64Array::from_iter_values((1..=100).map(f64::from));
    let without = batch(vec![
        ("n", Arc::new(numbers) as ArrayRef),
        ("t", texts(&[Some("shared by all"); 100])),
    ]);
    let expected = proposals(&[(without, UInt32Array::from_iter_values(1..=100))]);
    assert_eq!(found[1], expected[1]);
    assert_eq!(found[0].levels, expected[0].levels);
    assert!(found[0].range.is_some_and(|range| range.high <= 100.0));
}

#[test]
fn rows_and_owners_of_other_numbers_are_an_error() {
    let rows = batch(vec![("x", wholes(&[Some(1)]))]);
    let mut proposals = Proposals::new(&key(), &rows.schema(), LEAST);
    let error = proposals.observe(&rows, &UInt32Array::from(vec![1, 2])).unwrap_err();
    assert!(matches!(error, SubjectError::Lengths { .. }));
}

/// Extreme values do not make it fail, and what is proposed stays finite.
#[test]
fn extreme_values_are_observed() {
    let extremes = [
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        -5e-324,
        5e-324,
        0.0,
        -0.0,
        1e300,
        -1e300,
        1e-300,
    ];
    for shift in 0..extremes.len() {
        let values = (0..200).map(|row| extremes[(row * row + shift) % extremes.len()]);
        let found = of_column("x", Arc::new(Float64Array::from_iter_values(values)));
        assert!(
            found
                .range
                .is_none_or(|range| range.low.is_finite() && range.high.is_finite())
        );
    }
    of_wholes("x", (0..200).map(|row| [i64::MIN, i64::MAX, 0][row % 3]));
    of_column(
        "x",
        Arc::new(Date32Array::from_iter_values(
            (0..200).map(|row| [i32::MIN, i32::MAX, 0][row % 3]),
        )),
    );
    let times = (0..200).map(|row| [i64::MIN, i64::MAX, 0][row % 3]);
    of_column("x", Arc::new(TimestampMillisecondArray::from_iter_values(times)));
}

/// Rows of subjects with a number and a text.
fn any_rows() -> impl Strategy<Value = Vec<(u32, i32, u8)>> {
    prop::collection::vec((0_u32..150, -500_i32..2_000, 0_u8..12), 1..600)
}

fn table(rows: &[(u32, i32, u8)]) -> (RecordBatch, UInt32Array) {
    let numbers = Float64Array::from_iter_values(rows.iter().map(|row| f64::from(row.1) / 8.0));
    let names: Vec<String> = rows.iter().map(|row| format!("t{}", row.2)).collect();
    let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    let owners = UInt32Array::from_iter_values(rows.iter().map(|row| row.0));
    (
        batch(vec![("n", Arc::new(numbers) as ArrayRef), ("t", texts(&names))]),
        owners,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the rows: at least ten subjects have a listed value, and at least ten have a value between two edges.
    #[test]
    fn proposals_separate_enough_subjects(rows in any_rows()) {
        let least = usize::try_from(LEAST).unwrap();
        let found = proposals(&[table(&rows)]);
        let mut by_text: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for row in &rows {
            by_text.entry(format!("t{}", row.2)).or_default().insert(row.0);
        }
        let pairs: usize = by_text.values().map(|subjects| subjects.len().min(least)).sum();
        let common = by_text.iter().filter(|(_, subjects)| subjects.len() >= least);
        let common: Vec<String> = common.map(|(text, _)| text.clone()).collect();
        let are_names = pairs < by_text.len() * 2 || common.is_empty();
        let expected = if are_names { ProposedLevels::None } else { ProposedLevels::Texts(common) };
        prop_assert_eq!(&found[1].levels, &expected);

        if let ProposedLevels::NumberEdges(edges) = &found[0].levels {
            prop_assert!(edges.is_sorted() && edges.len() <= 12);
            let bounds = [&[f64::NEG_INFINITY][..], edges, &[f64::INFINITY]].concat();
            for bounds in bounds.windows(2) {
                let inside = rows.iter().filter(|row| (bounds[0]..bounds[1]).contains(&(f64::from(row.1) / 8.0)));
                let subjects: BTreeSet<u32> = inside.map(|row| row.0).collect();
                prop_assert!(subjects.len() >= least, "{bounds:?}");
            }
        }
        if let Some(range) = found[0].range {
            prop_assert!(range.low < range.high);
        }
    }

    /// Neither the order of the rows nor the batches change what is proposed.
    #[test]
    fn proposals_do_not_depend_on_order(rows in any_rows(), order in any::<u64>(), size in 1_usize..200) {
        let found = proposals(&[table(&rows)]);
        let mut shuffled: Vec<(usize, (u32, i32, u8))> = rows.into_iter().enumerate().collect();
        shuffled.sort_by_key(|(at, _)| (*at as u64 + 1).wrapping_mul(order | 1));
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, row)| row).collect();
        let parts: Vec<_> = shuffled.chunks(size).map(table).collect();
        prop_assert_eq!(proposals(&parts), found);
    }
}
