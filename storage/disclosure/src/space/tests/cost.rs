//! What a check costs at the full budget; ignored, because it takes a while and asserts no times.
//!
//! `cargo test --release -p concordat-disclosure --lib -- --ignored --nocapture cost`

use std::time::Duration;

use super::{cell, offer_all, released, space};
use crate::random::{below, seeded::Seeded};
use crate::space::{SpaceParameters, Themselves, Verdict};
use crate::{CellBox, Epochs, Record, Replay, Space, SpaceLimits, UnitSet};
use concordat_protocol::schema::VersionNumber;

const SUBJECTS: u32 = 1_000_000;

/// The time that this thread was on a processor, which other programs of the machine do not lengthen.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let on_processor = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let start = on_processor();
    let result = work();
    (result, on_processor() - start)
}

/// A query of 20 disjoint cells, of units with random values.
fn cells(entropy: &mut Seeded, units: u32) -> Vec<UnitSet> {
    let seed = below(entropy, u32::MAX);
    let value = |unit: u32| {
        (unit ^ seed)
            .wrapping_mul(0x9E37_79B9)
            .rotate_left(13)
            .wrapping_mul(0x85EB_CA6B)
            >> 16
    };
    let mut cells = vec![Vec::new(); 21];
    (0..units).for_each(|unit| cells[value(unit) as usize % 21].push(unit));
    cells.truncate(20);
    cells.into_iter().map(|units| units.into_iter().collect()).collect()
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_check_at_the_full_budget() {
    let mut entropy = Seeded::new(1);
    let mut space = space(10, SUBJECTS, 1);
    let mut sets = vec![released(UnitSet::all(SUBJECTS), CellBox::everyone())];
    loop {
        let cells = cells(&mut entropy, SUBJECTS);
        let (offer, check) = timed(|| offer_all(&space, &cells, 7));
        let certified = offer
            .verdicts()
            .iter()
            .filter(|verdict| **verdict == Verdict::Certified)
            .count();
        let (_, commit) = timed(|| space.commit(offer).unwrap());
        let rank = 512 - space.distinctions_left();
        println!("rank {rank}: {certified} of 20 certified, check {check:?}, commit {commit:?}");
        sets.extend(cells.into_iter().map(|units| released(units, CellBox::everyone())));
        if certified < 20 {
            break;
        }
    }
    let repeated: Vec<UnitSet> = sets[101..121].iter().map(|set| set.units.clone()).collect();
    let parts: Vec<_> = repeated
        .iter()
        .map(|set| space.epochs.split(set, VersionNumber::FIRST).unwrap())
        .collect();
    let (_, tokens) = timed(|| space.tokens.fingerprints(&parts.iter().collect::<Vec<_>>()));
    let coefficients = |set| {
        let inside = space.positions.inside(set, space.bases.len());
        space
            .bases
            .iter()
            .zip(inside)
            .map(|(basis, inside)| basis.coefficients(&inside).len())
            .sum::<usize>()
    };
    let (_, residuals) = timed(|| parts.iter().map(coefficients).sum::<usize>());
    println!("of this, fingerprints {tokens:?}, residuals {residuals:?}");
    let (offer, check) = timed(|| offer_all(&space, &repeated, 7));
    println!("derivable cells: {check:?}, {:?}", &offer.verdicts()[..1]);
    let parameters = SpaceParameters {
        k: 10,
        universe: SUBJECTS,
        distinctions: 512,
        bytes: 64 << 20,
    };
    sets.truncate(512);
    let epochs = Epochs::new(VersionNumber::FIRST);
    let (_, rebuild) = timed(|| Space::rebuild(parameters, &sets, epochs, &mut Themselves, &mut entropy).unwrap());
    println!("rebuild {rebuild:?}");
}

/// Bytes that the process has in memory, and the most that it had.
fn resident() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        1_024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    })
}

/// The memory that 430 sets of five million rows take while they are restored. It is to be run alone.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_restore_in_memory() {
    const ROWS: u32 = 5_000_000;
    const SETS: u32 = 430;
    let mut entropy = Seeded::new(1);
    let mut replay = Replay::default();
    let version = Record::Version {
        version: VersionNumber::FIRST,
        universe: ROWS,
        changed: UnitSet::new(),
    };
    replay.add(&version.to_bytes()).unwrap();
    let all = Record::Set(released(UnitSet::all(ROWS), CellBox::everyone()));
    replay.add(&all.to_bytes()).unwrap();
    let mut added = 0;
    while added < SETS {
        for units in cells(&mut entropy, ROWS).into_iter().take((SETS - added) as usize) {
            replay
                .add(&Record::Set(released(units, cell(added))).to_bytes())
                .unwrap();
            added += 1;
        }
    }
    let read = resident();
    let limits = SpaceLimits {
        k: 10,
        distinctions: 512,
        bytes: 64 << 20,
    };
    let ((_, space), time) = timed(|| replay.finish(limits, &mut Themselves, &mut entropy).unwrap());
    let left = space.unwrap().distinctions_left();
    println!(
        "records read: {read:?}, restored: {:?}, {time:?}, {left} sets left",
        resident()
    );
}
