//! What an analyst's queries cost; ignored, because it takes a while and asserts no times.
//!
//! `cargo test --release -p concordat-disclosure --lib -- --ignored --nocapture cost_of_an_analysts_queries`

use std::time::Duration;

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
const STOPS: [usize; 7] = [5, 10, 20, 50, 100, 150, 200];

/// What was measured of some queries.
#[derive(Default)]
struct Measured {
    times: Vec<Duration>,
    most_work: u64,
}

impl Measured {
    fn print(mut self, label: &str) {
        self.times.sort();
        let median = self.times.get(self.times.len() / 2).copied().unwrap_or_default();
        let longest = self.times.last().copied().unwrap_or_default();
        let work = self.most_work;
        println!("{label}: median {median:.1?}, longest {longest:.1?}, at most {work} units of work");
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
        for (at, analysis) in (1..).zip(Hospital::analyses(200)) {
            let cells = hospital.cells(&analysis);
            let grid = grid(&cells);
            let spaces = Spaces {
                subjects: &space,
                rows: None,
            };
            let start = on_processor();
            let decision = decide(&grid, &rules, spaces, &ReleasedSums::default(), &keys(), &mut entropy);
            measured.times.push(on_processor() - start);
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
                let label = format!(
                    "{size} subjects, {at} queries, {rank} sets, {shown} of {all} cells shown, bound exceeded {exceeded} times"
                );
                std::mem::take(&mut measured).print(&label);
            }
        }
    }
}

/// How long this thread was on a processor, which other programs of the machine do not lengthen.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
