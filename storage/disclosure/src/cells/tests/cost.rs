//! What an analyst's queries cost; ignored, because it takes a while and asserts no times.
//!
//! `cargo test --release -p concordat-disclosure --lib -- --ignored --nocapture cost_of_an_analysts_queries`

use std::time::{Duration, Instant};

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Protection;

use super::hospital::{Hospital, grid};
use super::world::keys;
use crate::random::seeded::Seeded;
use crate::{
    CellBox, DecideError, DisclosureRules, Epochs, ReleasedSet, ReleasedSums, Space, SpaceParameters, Spaces,
    Themselves, UnitSet, decide,
};

const K: u32 = 10;

/// A space of everyone in a hospital.
fn space(size: u32) -> Space {
    let parameters = SpaceParameters {
        k: K,
        universe: size,
        distinctions: 512,
        bytes: 64 << 20,
    };
    let universe = [ReleasedSet {
        units: UnitSet::all(size),
        version: VersionNumber::FIRST,
        cell: CellBox::everyone(),
    }];
    let epochs = Epochs::new(VersionNumber::FIRST);
    Space::rebuild(parameters, &universe, epochs, &mut Themselves, &mut Seeded::new(1)).unwrap()
}

/// Queries after which the cost of those since the last ones is printed.
const STOPS: [usize; 6] = [5, 10, 20, 50, 100, 200];

/// What was measured of some queries.
#[derive(Default)]
struct Measured {
    times: Vec<Duration>,
    most_work: u64,
    /// Bytes beyond those before a query.
    most_bytes: u64,
}

impl Measured {
    fn print(mut self, label: &str) {
        self.times.sort();
        let median = self.times.get(self.times.len() / 2).copied().unwrap_or_default();
        let longest = self.times.last().copied().unwrap_or_default();
        println!(
            "{label}: median {median:.1?}, longest {longest:.1?}, {} MiB, {} units of work",
            self.most_bytes >> 20,
            self.most_work
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn cost_of_an_analysts_queries() {
    let rules = DisclosureRules::new(K, &Protection::Exact).unwrap();
    for size in [10_000, 100_000, 1_000_000] {
        let hospital = Hospital::new(size, 1);
        let mut space = space(size);
        let mut entropy = Seeded::new(3);
        let (mut shown, mut all, mut exceeded) = (0, 0, 0);
        let mut measured = Measured::default();
        let at_first = resident()[0];
        for (at, analysis) in (1..).zip(Hospital::analyses(200)) {
            let cells = hospital.cells(&analysis);
            let grid = grid(&cells);
            let spaces = Spaces {
                subjects: &space,
                rows: None,
            };
            // The peak begins again.
            std::fs::write("/proc/self/clear_refs", "5").unwrap();
            let before = resident()[0];
            let start = Instant::now();
            let decision = decide(&grid, &rules, spaces, &ReleasedSums::default(), &keys(), &mut entropy);
            measured.times.push(start.elapsed());
            measured.most_bytes = measured.most_bytes.max(resident()[1].saturating_sub(before));
            let decision = match decision {
                Err(DecideError::NoDistinctions { .. }) => {
                    println!("{size}: the budget was used up at query {at}");
                    break;
                }
                decision => decision.unwrap(),
            };
            all += cells.iter().filter(|cell| cell.units.len() >= 2 * u64::from(K)).count();
            shown += decision.verdicts().iter().filter(|sets| sets[0].subjects).count();
            let (offer, _) = decision.into_offers();
            exceeded += offer.spent.exceeded;
            measured.most_work = measured.most_work.max(offer.spent.work);
            space.commit(offer).unwrap();
            if STOPS.contains(&at) {
                let rank = space.distinctions() - space.distinctions_left();
                let grown = resident()[0].saturating_sub(at_first) >> 20;
                let label = format!(
                    "{size} subjects, {at} queries, {rank} sets ({grown} MiB), {shown} of {all} cells shown, bound exceeded {exceeded} times"
                );
                std::mem::take(&mut measured).print(&label);
            }
        }
    }
}

/// Bytes that the process has in memory, and the most that it had.
fn resident() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        1_024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    })
}
