//! Memory and time at the size that the design states; too slow for every run.

use arrow::array::UInt32Array;

use super::*;
use crate::subjects::{OwnerResolver, Proposals, Registry, RowHasher, SubjectDigests};
use concordat_protocol::ids::DatasetName;

/// Bytes of memory in use, from `/proc/self/statm`.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

const BATCH: i64 = 16_384;

fn events(first: i64) -> RecordBatch {
    let rows = first..first + BATCH;
    let column = |f: &dyn Fn(i64) -> i64| wholes(&rows.clone().map(|row| Some(f(row))).collect::<Vec<_>>());
    batch(vec![
        ("person", column(&|row| 1_000_000 + row)),
        ("a", column(&|row| row % 97)),
        ("b", column(&|row| row % 1_009)),
        ("c", column(&|row| row * 31 % 65_537)),
        ("d", column(&|row| 20_200_101 + row % 28)),
        ("e", column(&|_| 5)),
    ])
}

#[test]
#[ignore = "measures memory and takes minutes; alone in its process: -- --ignored registry_of_two_million --nocapture"]
fn registry_of_two_million_subjects_is_small() {
    let before = resident();
    let mut registry = Registry::new();
    let mut digests = SubjectDigests::new();
    let hasher = RowHasher::new(key(), &DatasetName::new("person").unwrap());
    let mut proposals = Proposals::new(&key(), &events(0).schema(), 10);
    let mut resolver = OwnerResolver::registering(key(), 0, &mut registry);
    let mut rows: Vec<UInt32Array> = Vec::new();
    let batches = 2_000_000 / BATCH;
    for number in 0..batches {
        rows.push(resolver.resolve(&events(number * BATCH)).unwrap().ordinals);
    }
    drop(resolver);
    let of_registry = resident() - before;
    for (number, owners) in (0..batches).zip(&rows) {
        digests.add(&hasher, &events(number * BATCH), owners).unwrap();
    }
    let of_digests = resident() - before - of_registry;
    for (number, owners) in (0..batches).zip(&rows) {
        proposals.observe(&events(number * BATCH), owners).unwrap();
    }
    let of_proposals = resident() - before - of_registry - of_digests;
    let subjects = registry.len();
    eprintln!("{subjects} subjects: registry {of_registry}, digests {of_digests}, proposals {of_proposals} bytes");
    assert!(of_registry < 96 << 20, "with {} MB of owners", subjects * 4 / 1_000_000);
    assert!(of_digests < 32 << 20);
    assert!(of_proposals < 64 << 20);
    drop(proposals.finish());
    let read = Registry::open(subjects, registry.finish().map(|batch| Ok(batch.unwrap()))).unwrap();
    assert_eq!(read.len(), subjects);
}
