//! How long the check of a query takes if much was released before.
//!
//! What a memory has released is here sets of subjects that do not follow from each other, in groups of disjoint ones as the cells of
//! grouped queries are, and answers. How many answers there were affects the check only by the number of such sets, which has a limit.

use std::{path::Path, time::Instant};

use concordat_disclosure::{
    CellBox, Mode, Record, Released, ReleasedColumn, ReleasedSet, StoredAnswer, TimeClass, UnitSet, Value,
};
use concordat_protocol::{
    ids::Digest32,
    schema::VersionNumber,
    scope::{Noise, Protection, ProtectionName},
};
use concordat_storage::catalog::Collection as _;
use tokio::runtime::Runtime;

use super::{
    memory::Memory,
    queries::{Holder, counted, median},
};

/// How often the query is run; each time against the memory as it was before.
const ROUNDS: u64 = 3;
/// Disjoint sets of one query, and how many subjects of so many are in each.
const SETS_OF_QUERY: u32 = 20;
const ONE_OF: u32 = 21;
/// The label of the digests of queries.
const LABEL: &str = "concordat/a query of the benchmark/1";

/// Prints the medians in milliseconds of a query and of the parts of its decision, for each protection that compares figures.
pub(crate) fn check(dir: &Path, sets: u32, answers: u32) {
    let mut holder = Holder::open(dir);
    let version = &holder.clinic.version;
    let subjects = version.subjects();
    let records = filled((version.version(), subjects), (sets, answers));
    let perturbed = Protection::Perturbed(Noise::new(3, 5, 5).unwrap());
    Runtime::new().unwrap().block_on(async {
        let mut figures = vec![format!(r#""subjects": {subjects}"#)];
        for protection in [perturbed, Protection::Exact] {
            holder.protect(protection);
            let name = protection.name();
            figures.push(format!(r#""{name}": {}"#, checked(&mut holder, name, &records).await));
        }
        println!("{{{}}}", figures.join(", "));
    });
}

/// The medians as a JSON object.
async fn checked(holder: &mut Holder, name: ProtectionName, records: &[Vec<u8>]) -> String {
    let mut restored = Vec::new();
    let mut queries = Vec::new();
    let mut checks = Vec::new();
    let mut stores = Vec::new();
    let mut commits = Vec::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        let memory = Memory::new(&holder.clinic, &format!("{name}-{round}"), records);
        restored.push(began.elapsed());
        let began = Instant::now();
        holder.answered(&memory, &counted(round)).await;
        queries.push(began.elapsed());
        let decided = memory.decided().await;
        checks.push(decided.check);
        stores.push(decided.store);
        commits.push(decided.commit);
    }
    format!(
        r#"{{"restore": {:.1}, "query": {:.1}, "check": {:.1}, "store": {:.1}, "commit": {:.1}}}"#,
        median(restored),
        median(queries),
        median(checks),
        median(stores),
        median(commits),
    )
}

/// The records of a memory with so many sets and answers.
fn filled((version, subjects): (VersionNumber, u32), (sets, answers): (u32, u32)) -> Vec<Vec<u8>> {
    let first = Record::Version {
        version,
        universe: subjects,
        changed: UnitSet::new(),
    };
    let released = |units, cell| Record::Set(ReleasedSet { units, version, cell });
    let all = released(UnitSet::all(subjects), CellBox::everyone());
    let queries = (0..sets.div_ceil(SETS_OF_QUERY)).flat_map(|query| cells(query, subjects));
    let queries = queries.take(usize::try_from(sets).unwrap()).enumerate();
    let released = queries.map(|(number, units)| released(units, CellBox::alone(format!("cell {number}"))));
    let answers = (0..answers).map(answer);
    let records = [first, all].into_iter().chain(released).chain(answers);
    records.map(|record| record.to_bytes()).collect()
}

/// The cells of a query: most subjects are in one of them, which one depends on a value without a pattern.
fn cells(query: u32, subjects: u32) -> Vec<UnitSet> {
    let seed = query.wrapping_mul(0x27d4_eb2f).wrapping_add(0x1656_67b1);
    let value = |subject: u32| {
        let mixed = (subject ^ seed).wrapping_mul(0x9e37_79b9).rotate_left(13);
        (mixed.wrapping_mul(0x85eb_ca6b) >> 16) % ONE_OF
    };
    let mut cells: Vec<Vec<u32>> = vec![Vec::new(); usize::try_from(ONE_OF).unwrap()];
    (0..subjects).for_each(|subject| cells[usize::try_from(value(subject)).unwrap()].push(subject));
    cells.truncate(usize::try_from(SETS_OF_QUERY).unwrap());
    cells.into_iter().map(UnitSet::from_iter).collect()
}

/// An answer with as many figures as the query has cells.
fn answer(number: u32) -> Record {
    let figures = (0..SETS_OF_QUERY).map(|cell| Some(Value::Whole(i64::from(cell) + 10)));
    let columns = vec![ReleasedColumn::exact(figures.collect())];
    let cells = usize::try_from(SETS_OF_QUERY).unwrap();
    Record::Answer(StoredAnswer {
        query: Digest32::sha256(LABEL, &number.to_le_bytes()),
        released: Released::new(Mode::Exact, cells, columns).unwrap(),
        person: "eva@zurich".to_owned(),
        grant: None,
        class: TimeClass::default(),
    })
}
