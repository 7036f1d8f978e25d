//! From reports to answers, with memories in which everything is kept as records.

mod above_cells;
mod described;
mod described_codes;
mod described_complete;
mod memory;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use concordat_disclosure::{
    LossBudget, Mode, Precision, Released, ReleasedColumn, Reserved, SpaceLimits, UnitSet, Value,
};
use concordat_protocol::{
    error_kind::ErrorKind,
    ids::{DatasetRef, Digest32},
    schema::VersionNumber,
    scope::{DeltaExponent, Loss, MicroRho, Noise, Protection, Scope},
};
use futures::TryStreamExt as _;
use zeroize::Zeroizing;

use super::{
    AnsweredVersion, Disclosure, Requester, cells_tables, computed_above,
    grid::Requested,
    release::{Remembered, Sources, query_digest, repeated},
};
use crate::{
    QueryError,
    compute::{self, Cell, CellReport, ContributionSum, Contributions, KEPT, MeasuredSet, Monomial, SetOutline},
    home_state,
    statistic::{KnownCollection, Lowered, Statistic, tests::collections::Collection},
};
use described::scope;
use memory::{Own, Seeded, Stored};

const SUBJECTS: u32 = 60;
const VERSION: VersionNumber = VersionNumber::FIRST;
/// Everyone was born in this year.
const BORN: f64 = 1_950.0;

const BY_GENDER: &str = "SELECT gender_source_value, count(*) AS n FROM person GROUP BY gender_source_value";

fn statistic(collection: &Collection, sql: &str) -> Statistic {
    collection.lower(sql).unwrap().blocks.remove(0).statistic
}

/// A report in which the first cells have these subjects, and the others none.
fn report(statistic: &Statistic, known: &KnownCollection, cells: &[Range<u32>]) -> CellReport {
    let (set_of, outlines) = compute::outlined(statistic, known).unwrap();
    let cell = |at: usize| {
        let subjects: UnitSet = cells.get(at).cloned().unwrap_or(0..0).collect();
        // A neighbor has ten subjects more.
        let more: UnitSet = cells
            .get(at)
            .map_or(0..0, |range| range.start..range.end + 10)
            .collect();
        let own = set_of.iter().max().map_or(0, |at| at + 1);
        let sets = outlines.iter().enumerate().map(|(at, outline)| {
            let subjects = if at < own { &subjects } else { &more };
            measured(outline, subjects)
        });
        let sets = sets.collect();
        Cell { subjects, sets }
    };
    CellReport {
        version: VERSION,
        subjects: SUBJECTS,
        rows: None,
        cells: (0..statistic.grid(known)).map(cell).collect(),
        set_of,
        outlines,
        is_complete: true,
    }
}

fn measured(outline: &SetOutline, subjects: &UnitSet) -> MeasuredSet {
    let [center, _] = outline.centers;
    let sums = outline.sums.iter().map(|sum| {
        let value = match sum.of {
            Monomial::One => 1.0,
            Monomial::X => BORN,
            Monomial::CenteredX => BORN - center,
            Monomial::CenteredXX => (BORN - center).powi(2),
            Monomial::CenteredY | Monomial::CenteredYY | Monomial::CenteredXY => panic!("there is one value"),
        };
        let units = sum.quantum.units(value);
        let total = units * i128::from(subjects.len());
        ContributionSum {
            total,
            contributions: Contributions {
                largest: [units.unsigned_abs(); KEPT],
                total: total.unsigned_abs(),
            },
        }
    });
    MeasuredSet {
        subjects: subjects.clone(),
        sums: sums.collect(),
        bands: vec![UnitSet::new(); outline.edges.as_ref().map_or(0, |edges| edges.len() + 1)],
        ..MeasuredSet::default()
    }
}

/// A single cell.
fn one(subjects: Range<u32>) -> Vec<Range<u32>> {
    vec![subjects]
}

fn noise() -> Protection {
    Protection::Perturbed(Noise::new(3, 5, 5).unwrap())
}

fn disclosure(protection: &Protection) -> Disclosure {
    Disclosure::new(5, protection, Zeroizing::new([7; 32])).unwrap()
}

/// One answer about a collection.
fn answered(
    (collection, sql): (&Collection, &str),
    cells: &[Range<u32>],
    (protection, memory): (&Protection, &mut Stored),
) -> Result<Released, QueryError> {
    let statistic = statistic(collection, sql);
    let report = report(&statistic, &collection.known, cells);
    released((collection, &statistic, &report), (protection, None), memory)
}

fn released(
    (collection, statistic, report): (&Collection, &Statistic, &CellReport),
    (protection, reserved): (&Protection, Option<Reserved>),
    memory: &mut Stored,
) -> Result<Released, QueryError> {
    let scope = Scope {
        protection: *protection,
        ..scope()
    };
    let requested = Requested::new(statistic, &collection.known, &scope).unwrap();
    let remembered = remembered((collection, statistic), &scope);
    let sources = Sources {
        memory,
        owners: &mut Own::default(),
        entropy: &mut Seeded::new(3),
        reserved,
        isolated: &|| (),
    };
    let disclosure = disclosure(protection);
    let release = futures::executor::block_on(disclosure.release((&requested, report), remembered, sources))?;
    Ok(release.released)
}

fn remembered((collection, statistic): (&Collection, &Statistic), scope: &Scope) -> Remembered {
    Remembered {
        query: query_digest(statistic, &collection.known, scope, (VERSION, 5)),
        requester: Requester {
            person: "ada".to_owned(),
            grant: None,
        },
        subjects: AnsweredVersion {
            version: VERSION,
            universe: SUBJECTS,
            changed: None,
        },
        rows: None,
        since: tokio::time::Instant::now(),
    }
}

/// What is shown again for a query.
fn shown_again(memory: &Stored, query: &Digest32) -> Option<Released> {
    repeated(&memory.subjects, query).map(|release| release.released)
}

fn counts(released: &Released, column: usize) -> Vec<Option<i64>> {
    let whole = |value: &Option<Value>| match value {
        Some(Value::Whole(count)) => Some(*count),
        Some(Value::Real(_)) => panic!("a number of subjects is whole"),
        None => None,
    };
    released.columns()[column].values().iter().map(whole).collect()
}

#[test]
fn decision_shows_large_groups_and_repeats_them() {
    let collection = Collection::named("omop");
    let mut memory = Stored::new();
    let cells = [0..20, 20..35];
    let first = answered((&collection, BY_GENDER), &cells, (&Protection::Exact, &mut memory)).unwrap();
    assert!(memory.is_complete);
    let shown = counts(&first, 0);
    assert_eq!(shown[..2], [Some(20), Some(15)]);
    assert!(
        shown[2..].iter().all(Option::is_none),
        "empty groups are rows like small ones"
    );
    let statistic = statistic(&collection, BY_GENDER);
    let query = query_digest(&statistic, &collection.known, &scope(), (VERSION, 5));
    assert_eq!(shown_again(&memory, &query), Some(first.clone()));
    let other = query_digest(&statistic, &collection.known, &scope(), (VersionNumber::new(2), 5));
    assert_eq!(shown_again(&memory, &other), None);
    assert_eq!(
        shown_again(&memory.restarted(), &query),
        Some(first),
        "it is known after a restart"
    );
}

/// Two queries that differ in one person, with a restart between them.
#[test]
fn decision_withholds_a_difference_after_a_restart() {
    let collection = Collection::named("omop");
    let men = "SELECT count(*) FROM person WHERE gender_source_value = 'M'";
    let white_men = "SELECT count(*) FROM person WHERE gender_source_value = 'M' AND race_source_value = 'white'";
    for protection in [Protection::Exact, noise()] {
        let mut memory = Stored::new();
        let first = answered((&collection, men), &one(0..20), (&protection, &mut memory)).unwrap();
        assert!(counts(&first, 0)[0].is_some());
        let mut memory = memory.restarted();
        let second = answered((&collection, white_men), &one(0..19), (&protection, &mut memory)).unwrap();
        assert_eq!(counts(&second, 0), [None]);
        let fresh = answered((&collection, white_men), &one(0..19), (&protection, &mut Stored::new())).unwrap();
        assert!(
            counts(&fresh, 0)[0].is_some(),
            "it is shown to someone who does not know the first one"
        );
    }
}

/// A figure with noise for one answer is all that there may be, also under noise for more answers and after a restart.
#[test]
fn decision_counts_figures_as_their_noise_is() {
    let collection = Collection::named("omop");
    let men = "SELECT count(*) FROM person WHERE gender_source_value = 'M'";
    let noise = |answers| Protection::Perturbed(Noise::for_answers(answers).unwrap());
    let mut memory = Stored::new();
    answered((&collection, men), &one(0..20), (&noise(1), &mut memory)).unwrap();
    let mut restarted = memory.restarted();
    for memory in [&mut memory, &mut restarted] {
        let refused = answered((&collection, BY_GENDER), &[0..20, 20..45], (&noise(64), memory)).unwrap_err();
        let is_denied = matches!(
            refused,
            QueryError::Reported {
                kind: ErrorKind::Denied,
                ..
            }
        );
        assert!(is_denied, "{refused:?}");
    }
    let fresh = &mut Stored::new();
    answered((&collection, BY_GENDER), &[0..20, 20..45], (&noise(64), fresh)).unwrap();
}

#[test]
fn decision_that_is_not_durable_is_not_shown() {
    let collection = Collection::named("omop");
    let mut memory = Stored::new();
    memory.fails_after = Some(1);
    let refused = answered(
        (&collection, BY_GENDER),
        &[0..20, 20..35],
        (&Protection::Exact, &mut memory),
    );
    assert!(refused.is_err());
    assert!(!memory.is_complete, "the memory is restored before it is used again");
    let restarted = memory.restarted();
    assert_eq!(
        restarted.subjects.distinctions_left(),
        Stored::begun().subjects.distinctions_left()
    );
}

/// With subjects that are missing, a set could be taken for one of others.
#[test]
fn decision_without_the_subjects_of_rows_is_not_made() {
    let collection = Collection::named("omop");
    let statistic = statistic(&collection, BY_GENDER);
    let report = report(&statistic, &collection.known, &[0..20, 20..35]);
    let mut memory = Stored::new();
    let mut owners = Own {
        error: Some(QueryError::Ended),
    };
    let requested = Requested::new(&statistic, &collection.known, &scope()).unwrap();
    let sources = Sources {
        memory: &mut memory,
        owners: &mut owners,
        entropy: &mut Seeded::new(3),
        reserved: None,
        isolated: &|| (),
    };
    let remembered = remembered((&collection, &statistic), &scope());
    let disclosure = disclosure(&Protection::Exact);
    let refused = futures::executor::block_on(disclosure.release((&requested, &report), remembered, sources));
    let refused = refused.map(drop);
    assert!(matches!(refused, Err(QueryError::Ended)));
    assert!(memory.log.subjects.is_empty());
}

/// The holder is informed that a set was withheld for what was released before, and the answer leaves in the same class each time.
#[test]
fn decision_knows_what_isolates_and_keeps_its_time() {
    let collection = Collection::named("omop");
    let men = "SELECT count(*) FROM person WHERE gender_source_value = 'M'";
    let white_men = "SELECT count(*) FROM person WHERE gender_source_value = 'M' AND race_source_value = 'white'";
    let mut memory = Stored::new();
    let isolating = AtomicUsize::new(0);
    let mut release = |sql: &str, cells: Range<u32>, since: tokio::time::Instant| {
        let statistic = statistic(&collection, sql);
        let report = report(&statistic, &collection.known, &one(cells));
        let scope = scope();
        let requested = Requested::new(&statistic, &collection.known, &scope).unwrap();
        let remembered = Remembered {
            since,
            ..remembered((&collection, &statistic), &scope)
        };
        let query = remembered.query;
        let sources = Sources {
            memory: &mut memory,
            owners: &mut Own::default(),
            entropy: &mut Seeded::new(3),
            reserved: None,
            isolated: &|| {
                isolating.fetch_add(1, Ordering::Relaxed);
            },
        };
        let disclosure = disclosure(&Protection::Exact);
        let release = disclosure.release((&requested, &report), remembered, sources);
        let release = futures::executor::block_on(release).unwrap();
        assert_eq!(repeated(&memory.subjects, &query).unwrap().class, release.class);
        release
    };
    let now = tokio::time::Instant::now();
    release(men, 0..20, now);
    assert_eq!(isolating.load(Ordering::Relaxed), 0);
    let earlier = now.checked_sub(std::time::Duration::from_secs(60)).unwrap();
    let second = release(white_men, 0..19, earlier);
    assert_eq!(isolating.load(Ordering::Relaxed), 1);
    assert!(second.class.time() >= std::time::Duration::from_secs(60));
}

/// A failed read looks like a grid of small cells, and is not the answer that is repeated.
#[test]
fn decision_about_an_incomplete_report_is_not_remembered() {
    let collection = Collection::named("omop");
    let mut memory = Stored::new();
    let statistic = statistic(&collection, BY_GENDER);
    let mut failed = report(&statistic, &collection.known, &[]);
    failed.is_complete = false;
    let exact = (&Protection::Exact, None);
    let first = released((&collection, &statistic, &failed), exact, &mut memory).unwrap();
    assert!(counts(&first, 0).iter().all(Option::is_none));
    assert!(memory.log.subjects.is_empty());
    let empty = report(&statistic, &collection.known, &[]);
    let second = released(
        (&collection, &statistic, &empty),
        (&Protection::Exact, None),
        &mut memory,
    )
    .unwrap();
    assert_eq!(first, second);
}

/// The number and the mean of a column without missing values are shown beside each other.
#[test]
fn decision_shows_a_mean_beside_its_number() {
    let collection = Collection::named("omop");
    let sql =
        "SELECT count(*), avg(year_of_birth), stddev_pop(year_of_birth) FROM person WHERE race_source_value = 'white'";
    for protection in [Protection::Exact, noise()] {
        let found = answered((&collection, sql), &one(0..30), (&protection, &mut Stored::new())).unwrap();
        let shown: Vec<bool> = found
            .columns()
            .iter()
            .map(|column| column.values()[0].is_some())
            .collect();
        assert!(shown.iter().filter(|is| **is).count() >= 2, "{protection}: {found:?}");
        let is_exact = protection == Protection::Exact;
        let precise = found
            .columns()
            .iter()
            .all(|column| column.precision() == Precision::Exact);
        assert_eq!(precise, is_exact);
    }
}

#[test]
fn decision_of_private_mode_shows_every_cell() {
    let collection = Collection::named("omop");
    let millionths = |number| MicroRho::new(number).unwrap();
    let loss = Loss::new(
        millionths(100_000),
        millionths(1_000_000),
        DeltaExponent::new(6).unwrap(),
    )
    .unwrap();
    let protection = Protection::Private(loss);
    let statistic = statistic(&collection, BY_GENDER);
    let report = report(&statistic, &collection.known, &[0..20, 20..35]);
    let mut memory = Stored::new();
    let reserved = LossBudget::new(loss).spend(loss.query()).unwrap();
    let found = released(
        (&collection, &statistic, &report),
        (&protection, Some(reserved)),
        &mut memory,
    )
    .unwrap();
    assert!(counts(&found, 0).iter().all(Option::is_some));
    let without = released((&collection, &statistic, &report), (&protection, None), &mut memory);
    assert!(without.is_err(), "no figure without a reserved loss");
    let reserved = LossBudget::new(loss).spend(loss.query()).unwrap();
    let exact = released(
        (&collection, &statistic, &report),
        (&Protection::Exact, Some(reserved)),
        &mut memory,
    );
    assert!(exact.is_err());
}

#[test]
fn decision_of_a_report_of_another_form_is_an_error() {
    let collection = Collection::named("omop");
    let statistic = statistic(&collection, BY_GENDER);
    let mut report = report(&statistic, &collection.known, &[0..20, 20..35]);
    report.cells[0].sets.clear();
    let refused = released(
        (&collection, &statistic, &report),
        (&Protection::Exact, None),
        &mut Stored::new(),
    );
    assert!(matches!(refused, Err(QueryError::Engine { .. })));
}

fn limits() -> SpaceLimits {
    SpaceLimits {
        k: 5,
        distinctions: 512,
        bytes: 1 << 22,
    }
}
