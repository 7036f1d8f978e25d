use std::num::NonZeroU16;
use std::slice;

use concordat_protocol::ids::{Digest32, GrantId};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Finite, Noise};
use proptest::prelude::*;

use super::*;
use crate::random::seeded::Seeded;
use crate::{
    AnsweredFigures, CellBox, Condition, FigureName, Mode, Offered, Precision, Released, ReleasedColumn, ReleasedSet,
    SetName, Space, SpaceError, Themselves, TimeClass, UnitSet, Value, Verdict,
};

const FIRST: VersionNumber = VersionNumber::FIRST;

fn any_units(universe: u32) -> impl Strategy<Value = UnitSet> {
    prop::collection::btree_set(0..universe, 0..20).prop_map(|units| units.into_iter().collect())
}

fn any_released() -> impl Strategy<Value = Released> {
    let number = || (-1e9_f64..1e9).prop_map(|number| Finite::new(number).unwrap());
    let value = move || {
        prop_oneof![
            Just(None),
            any::<i64>().prop_map(|count| Some(Value::Whole(count))),
            number().prop_map(|number| Some(Value::Real(number))),
        ]
    };
    let precision = (0..3, number()).prop_map(|(mode, number)| match mode {
        0 => (Mode::Exact, Precision::Exact),
        1 => (Mode::Perturbed, Precision::StandardDeviation(number)),
        _ => (Mode::Private, Precision::HalfWidth(number)),
    });
    (1_usize..4, 0_usize..5, precision).prop_flat_map(move |(columns, cells, (mode, precision))| {
        let column = prop::collection::vec(value(), cells);
        prop::collection::vec(column, columns).prop_map(move |columns| {
            let columns = columns.into_iter().map(|values| ReleasedColumn::new(precision, values));
            Released::new(mode, cells, columns.collect()).unwrap()
        })
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    let version = (1_u64..1_000).prop_map(VersionNumber::new);
    let versions = (version.clone(), any_units(50)).prop_map(|(version, changed)| Record::Version {
        version,
        universe: 50,
        changed,
    });
    let sets = (version, any_units(50), 0_u32..5).prop_map(|(version, units, atom)| {
        let cell = cell(atom);
        Record::Set(ReleasedSet { units, version, cell })
    });
    let sums =
        (any::<[u8; 32]>(), prop::collection::vec(any::<[u8; 32]>(), 0..4)).prop_map(|(set, figures)| Record::Sums {
            set: SetName::new(set),
            figures: figures.into_iter().map(FigureName::new).collect(),
        });
    let answers = (
        any::<[u8; 32]>(),
        any_released(),
        "[a-z@]{0,9}",
        any::<Option<[u8; 16]>>(),
        (0_u8..16, any::<u16>()),
    );
    let answers = answers.prop_map(|(query, released, person, grant, (class, variance))| {
        Record::Answer(StoredAnswer {
            query: Digest32::from_bytes(query),
            variance: NonZeroU16::new(variance % 1_089).filter(|_| released.mode() == Mode::Perturbed),
            released,
            person,
            grant: grant.map(GrantId::from_bytes),
            class: TimeClass::new(class).unwrap(),
        })
    });
    prop_oneof![versions, sets, sums, answers, any::<u64>().prop_map(Record::Spent)]
}

fn cell(atom: u32) -> CellBox {
    CellBox::new(Condition::Atoms {
        path: "a".to_owned(),
        of: 5,
        atoms: UnitSet::from_iter([atom]),
    })
    .unwrap()
}

/// A record that states the variance of its noise keeps it, also that of the default, with two bytes more than an earlier one has.
#[test]
fn record_states_the_variance_of_its_noise() {
    let column = ReleasedColumn::new(
        Precision::StandardDeviation(Finite::new(2.0).unwrap()),
        vec![Some(Value::Whole(12))],
    );
    let released = Released::new(Mode::Perturbed, 1, vec![column]).unwrap();
    let of = |variance: Option<u16>| {
        Record::Answer(StoredAnswer {
            query: Digest32::from_bytes([1; 32]),
            released: released.clone(),
            variance: variance.and_then(NonZeroU16::new),
            person: "ada".to_owned(),
            grant: None,
            class: TimeClass::new(1).unwrap(),
        })
    };
    let [earlier, default, other] = [None, Some(Noise::default().variance()), Some(68)].map(of);
    for record in [&earlier, &default, &other] {
        assert_eq!(&Record::from_untrusted(&record.to_bytes(), 50).unwrap(), record);
    }
    assert_eq!(default.to_bytes().len(), earlier.to_bytes().len() + 2);
    assert_eq!(default.to_bytes().len(), other.to_bytes().len());
}

proptest! {
    #[test]
    fn record_survives_its_encoding(record in any_record()) {
        prop_assert_eq!(Record::from_untrusted(&record.to_bytes(), 50).unwrap(), record);
    }

    /// A torn record is none, and so is one with bytes after it.
    #[test]
    fn record_of_another_length_is_malformed(record in any_record(), at: prop::sample::Index, more: u8) {
        let mut bytes = record.to_bytes();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Record::from_untrusted(cut, 50), Err(RecordError::Malformed));
        bytes.push(more);
        prop_assert_eq!(Record::from_untrusted(&bytes, 50), Err(RecordError::Malformed));
    }

    /// Whatever bytes are read as a record are the bytes that it is written as.
    #[test]
    fn record_with_a_changed_byte_has_one_meaning(record in any_record(), at: prop::sample::Index, to: u8) {
        let mut bytes = record.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(changed) = Record::from_untrusted(&bytes, 50) {
            prop_assert_eq!(changed.to_bytes(), bytes);
        }
    }

    #[test]
    fn record_of_any_bytes_is_bounded(mut bytes in prop::collection::vec(any::<u8>(), 2..100), kind in 0_u8..7) {
        bytes[0] = 1;
        bytes[1] = kind;
        if let Ok(record) = Record::from_untrusted(&bytes, 50) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
    }

    /// Records in any order are a memory or an error, never a memory without all of its units.
    #[test]
    fn replay_of_any_records_is_whole_or_refused(records in prop::collection::vec(any_record(), 0..12)) {
        let mut replay = Replay::default();
        let added: Result<(), RecordError> = records.iter().try_for_each(|record| replay.add(&record.to_bytes()));
        if added.is_ok() {
            let has_version = records.iter().any(|record| matches!(record, Record::Version { .. }));
            let found = replay.finish(limits(), &mut Themselves, &mut Seeded::new(1));
            prop_assert_eq!(found.is_ok_and(|(_, space)| space.is_none()), !has_version);
        }
    }
}

fn limits() -> SpaceLimits {
    SpaceLimits {
        k: 3,
        distinctions: 512,
        bytes: 1 << 20,
    }
}

fn version(number: u64, universe: u32, changed: UnitSet) -> Record {
    Record::Version {
        version: VersionNumber::new(number),
        universe,
        changed,
    }
}

fn set(units: UnitSet, cell: CellBox) -> Record {
    let version = FIRST;
    Record::Set(ReleasedSet { units, version, cell })
}

fn replayed(records: &[Record]) -> Result<(Known, Option<Space>), ReplayError> {
    let mut replay = Replay::default();
    for record in records {
        replay.add(&record.to_bytes())?;
    }
    replay.finish(limits(), &mut Themselves, &mut Seeded::new(5))
}

fn verdict(space: &Space, units: &UnitSet, version: VersionNumber) -> Verdict {
    let offered = Offered {
        units,
        version,
        cell: &cell(4),
        neighbors: &[],
        is_withheld: false,
    };
    let offer = space.offer(&[offered], &mut Themselves, &mut Seeded::new(2)).unwrap();
    offer.verdicts()[0]
}

/// After a restart the difference of two sets is still known, also over versions.
#[test]
fn replay_remembers_sets_and_versions() {
    let records = [
        version(1, 40, UnitSet::new()),
        set(UnitSet::all(40), CellBox::everyone()),
        set((0..20).collect(), cell(0)),
        version(2, 41, UnitSet::from_iter([3, 40])),
    ];
    let (known, space) = replayed(&records).unwrap();
    let space = space.unwrap();
    assert_eq!((known.latest(), known.universe()), (Some(VersionNumber::new(2)), 41));
    assert_eq!(verdict(&space, &(0..19).collect(), FIRST), Verdict::Isolates);
    assert_eq!(
        verdict(&space, &(0..20).collect(), VersionNumber::new(2)),
        Verdict::Isolates
    );
    assert_eq!(verdict(&space, &(0..10).collect(), FIRST), Verdict::Certified);
    let (_, fresh) = replayed(&records[..2]).unwrap();
    assert_eq!(verdict(&fresh.unwrap(), &(0..19).collect(), FIRST), Verdict::Certified);
}

#[test]
fn replay_remembers_answers_sums_and_loss() {
    let released = |count| {
        Released::new(
            Mode::Exact,
            1,
            vec![ReleasedColumn::exact(vec![Some(Value::Whole(count))])],
        )
    };
    let answer = |query: u8, count: i64| {
        Record::Answer(StoredAnswer {
            query: Digest32::from_bytes([query; 32]),
            released: released(count).unwrap(),
            variance: None,
            person: "ada".to_owned(),
            grant: None,
            class: TimeClass::new(query + 2).unwrap(),
        })
    };
    let sums = Record::Sums {
        set: SetName::new([1; 32]),
        figures: vec![FigureName::new([2; 32])],
    };
    let records = [
        answer(1, 12),
        Record::Spent(5),
        answer(1, 13),
        sums,
        answer(2, 14),
        Record::Spent(7),
    ];
    let (known, space) = replayed(&records).unwrap();
    assert!(space.is_none());
    assert_eq!(
        known.answer(&Digest32::from_bytes([1; 32])),
        Some(&released(12).unwrap()),
        "what was shown first"
    );
    assert_eq!(
        known.answer(&Digest32::from_bytes([2; 32])),
        Some(&released(14).unwrap())
    );
    assert_eq!(known.answer(&Digest32::from_bytes([3; 32])), None);
    assert_eq!(known.class(&Digest32::from_bytes([2; 32])), TimeClass::new(4));
    assert_eq!(known.spent(), 12);
    let mut expected = crate::ReleasedSums::default();
    expected.add(SetName::new([1; 32]), [FigureName::new([2; 32])]);
    assert_eq!(*known.sums(), expected);
    let refused = replayed(&[Record::Spent(u64::MAX), Record::Spent(1)]).unwrap_err();
    assert_eq!(
        refused,
        ReplayError::Record(RecordError::Loss),
        "the loss does not begin again at zero"
    );
}

/// What was released with noise, of each subject: a figure for each column of a perturbed answer, and none of another one.
#[test]
fn replay_counts_the_figures_with_noise() {
    let deviation = Precision::StandardDeviation(Finite::new(2.0).unwrap());
    // Without a variance it is the shipped one: a figure of 32.
    let modes = [
        (Mode::Perturbed, deviation, None),
        (Mode::Exact, Precision::Exact, None),
        (Mode::Perturbed, deviation, NonZeroU16::new(68)),
    ];
    let mut known = Known::default();
    for ((mode, precision, variance), at) in modes.into_iter().zip(0..) {
        let column = || ReleasedColumn::new(precision, vec![Some(Value::Whole(12)), None]);
        let columns = (0..=at).map(|_| column()).collect();
        let answer = Record::Answer(StoredAnswer {
            query: Digest32::from_bytes([at; 32]),
            released: Released::new(mode, 2, columns).unwrap(),
            variance,
            person: "ada".to_owned(),
            grant: None,
            class: TimeClass::new(1).unwrap(),
        });
        known.add(answer.clone()).unwrap();
        known.add(answer).unwrap();
    }
    let mut expected = AnsweredFigures::default();
    expected.add(1, 544);
    expected.add(3, 68);
    assert_eq!(known.answered(), expected);
    assert_eq!(expected.figures(), 1 + 3);
}

/// A record that is torn between intact ones: nothing is answered from what is left.
#[test]
fn replay_with_a_torn_record_is_refused() {
    let all = set(UnitSet::all(40), CellBox::everyone()).to_bytes();
    let torn = set((0..20).collect(), cell(0)).to_bytes();
    let intact = set((0..15).collect(), cell(1)).to_bytes();
    for cut in [0, 1, 10, torn.len() - 1] {
        let mut replay = Replay::default();
        let first = version(1, 40, UnitSet::new()).to_bytes();
        for bytes in [&first[..], &all[..], &torn[..cut], &intact[..]] {
            replay.read(bytes);
        }
        let found = replay.finish(limits(), &mut Themselves, &mut Seeded::new(1));
        assert_eq!(found.unwrap_err(), ReplayError::Record(RecordError::Malformed), "{cut}");
    }
}

/// Records of another memory, or in another order.
#[test]
fn replay_of_foreign_records_is_refused() {
    let first = version(1, 40, UnitSet::new());
    let all = set(UnitSet::all(40), CellBox::everyone());
    let refused = |records: &[Record]| replayed(records).unwrap_err();
    assert_eq!(
        refused(slice::from_ref(&all)),
        ReplayError::Record(RecordError::Malformed),
        "units before a version"
    );
    assert_eq!(
        refused(slice::from_ref(&first)),
        ReplayError::Record(RecordError::NoUniverse)
    );
    let part = set((0..20).collect(), cell(0));
    assert_eq!(
        refused(&[first.clone(), part]),
        ReplayError::Record(RecordError::NoUniverse)
    );
    let fewer = set(UnitSet::all(39), CellBox::everyone());
    assert_eq!(
        refused(&[first.clone(), fewer]),
        ReplayError::Record(RecordError::NoUniverse)
    );
    let more = set(UnitSet::all(41), CellBox::everyone());
    assert_eq!(
        refused(&[first.clone(), more]),
        ReplayError::Record(RecordError::Malformed)
    );
    let changed = version(1, 40, UnitSet::all(3));
    assert_eq!(
        refused(&[changed]),
        ReplayError::Record(RecordError::Unknown),
        "changed since a version that is not there"
    );
    assert_eq!(
        refused(&[first.clone(), all.clone(), first.clone()]),
        ReplayError::Record(RecordError::Order(FIRST))
    );
    let later = Record::Set(ReleasedSet {
        units: (0..20).collect(),
        version: VersionNumber::new(2),
        cell: cell(1),
    });
    assert_eq!(refused(&[first, all, later]), ReplayError::Record(RecordError::Unknown));
    let few = [version(1, 2, UnitSet::new()), set(UnitSet::all(2), CellBox::everyone())];
    assert_eq!(refused(&few), ReplayError::Space(SpaceError::TooFewSubjects { k: 3 }));
}
