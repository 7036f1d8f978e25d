//! Logs as a node has them after many answers, before the check of a further query is measured.
//!
//! The answers are of two kinds: half of them are about the rows of diagnoses, half about those of prescriptions. Each has a number and a mean
//! for each of its cells.
//!
//! - In the log of subjects: the version, the set of all, sets that do not follow from each other, in groups of disjoint ones as the cells of
//!   grouped queries are, and the answers. The sets of all other answers follow from these, so that they are not stored: there is a limit on
//!   how many do not.
//! - In the log of the rows of a dataset: the version, the set of all, as many sets of rows, and for each cell of each answer the name of the
//!   sum over its set. Names are random: a check compares them, whatever the set is.

use std::path::Path;

use concordat_disclosure::{
    CellBox, FigureName, Mode, Record, Released, ReleasedColumn, ReleasedSet, SetName, StoredAnswer, TimeClass,
    UnitSet, Value,
};
use concordat_engine::NewMemory;
use concordat_protocol::{
    ids::Digest32,
    schema::VersionNumber,
    scope::{Finite, Noise, Protection},
};
use concordat_storage::{answers::MemoryUnit, catalog::Collection as _};

use super::{
    clinic::{Clinic, dataset},
    logs::{Logs, OwnerLogs},
};

/// The datasets whose rows were counted.
const COUNTED: [&str; 2] = ["diagnosis", "prescription"];
/// Disjoint sets of one query, and how many units of so many are in each.
const SETS_OF_QUERY: u32 = 20;
const ONE_OF: u32 = 21;
/// The label of the digests of queries.
const LABEL: &str = "concordat/a query of the benchmark/1";

/// The protections that compare figures with what was released before.
pub(crate) fn protections() -> [Protection; 2] {
    [Protection::Perturbed(Noise::new(3, 5, 5).unwrap()), Protection::Exact]
}

/// The owner with logs to whom figures with this protection are released.
pub(crate) fn owner(protection: Protection) -> String {
    format!("after-{}", protection.name())
}

/// Writes the logs of both owners: so many sets of each kind of units, and so many answers.
pub(crate) fn fill(dir: &Path, sets: u32, answers: u32) {
    let clinic = Clinic::open(dir);
    let version = clinic.version.version();
    let owners = protections().map(|protection| OwnerLogs::of(&clinic, &owner(protection)));
    let answered = (0..answers).map(answer);
    let records = of_units((version, clinic.version.subjects()), sets);
    let subjects = records.chain(answered.map(|record| record.to_bytes())).collect();
    write(&owners, &MemoryUnit::Subjects, subjects);
    for (number, name) in (0..).zip(COUNTED) {
        let name = dataset(name);
        let rows = u32::try_from(clinic.version.dataset(&name).unwrap().rows).unwrap();
        let counting = (0..answers).filter(|answer| answer % 2 == number);
        let records = of_units((version, rows), sets);
        let records = records.chain(counting.flat_map(sums).map(|record| record.to_bytes()));
        write(&owners, &MemoryUnit::Rows(name), records.collect());
    }
}

/// Appends records to the log of each owner.
fn write(owners: &[OwnerLogs], unit: &MemoryUnit, records: Vec<Vec<u8>>) {
    let records = NewMemory {
        subjects: records,
        rows: Vec::new(),
    };
    for owner in owners {
        let log = owner.open(unit.clone(), |_| ());
        assert_eq!(log.records(), 0, "the step was run before in this directory");
        let logs = Logs {
            subjects: log,
            rows: None,
        };
        owner.write(logs, &records);
    }
}

/// The records of the version, of the set of all units, and of so many further sets.
fn of_units((version, units): (VersionNumber, u32), sets: u32) -> impl Iterator<Item = Vec<u8>> {
    let first = Record::Version {
        version,
        universe: units,
        changed: UnitSet::new(),
    };
    let released = move |units, cell| Record::Set(ReleasedSet { units, version, cell });
    let all = released(UnitSet::all(units), CellBox::everyone());
    let queries = (0..sets.div_ceil(SETS_OF_QUERY)).flat_map(move |query| cells(query, units));
    let queries = queries.take(usize::try_from(sets).unwrap()).enumerate();
    let further = queries.map(move |(number, units)| released(units, CellBox::alone(format!("cell {number}"))));
    let records = [first, all].into_iter().chain(further);
    records.map(|record| record.to_bytes())
}

/// The cells of a query: most units are in one of them, which one depends on a value without a pattern.
fn cells(query: u32, units: u32) -> Vec<UnitSet> {
    let seed = query.wrapping_mul(0x27d4_eb2f).wrapping_add(0x1656_67b1);
    let value = |unit: u32| {
        let mixed = (unit ^ seed).wrapping_mul(0x9e37_79b9).rotate_left(13);
        (mixed.wrapping_mul(0x85eb_ca6b) >> 16) % ONE_OF
    };
    let mut cells: Vec<Vec<u32>> = vec![Vec::new(); usize::try_from(ONE_OF).unwrap()];
    (0..units).for_each(|unit| cells[usize::try_from(value(unit)).unwrap()].push(unit));
    cells.truncate(usize::try_from(SETS_OF_QUERY).unwrap());
    cells.into_iter().map(UnitSet::from_iter).collect()
}

/// An answer with a number and a mean for each of its cells.
fn answer(number: u32) -> Record {
    let numbers = (0..SETS_OF_QUERY).map(|cell| Some(Value::Whole(i64::from(cell) + 10)));
    let means = (0..SETS_OF_QUERY).map(|cell| Some(Value::Real(Finite::new(f64::from(cell) + 0.5).unwrap())));
    let columns = vec![
        ReleasedColumn::exact(numbers.collect()),
        ReleasedColumn::exact(means.collect()),
    ];
    let cells = usize::try_from(SETS_OF_QUERY).unwrap();
    Record::Answer(StoredAnswer {
        query: Digest32::sha256(LABEL, &number.to_le_bytes()),
        released: Released::new(Mode::Exact, cells, columns).unwrap(),
        variance: None,
        person: "eva@zurich".to_owned(),
        grant: None,
        class: TimeClass::default(),
    })
}

/// The sums of an answer, one over the set of each of its cells.
fn sums(answer: u32) -> impl Iterator<Item = Record> {
    let name = |cell: u32| blake3::hash(&[answer.to_le_bytes(), cell.to_le_bytes()].concat());
    let named: Vec<_> = (0..SETS_OF_QUERY).map(name).collect();
    let figure = FigureName::new(*blake3::hash(b"the sum of `value`").as_bytes());
    named.into_iter().map(move |name| Record::Sums {
        set: SetName::new(*name.as_bytes()),
        figures: vec![figure],
    })
}
