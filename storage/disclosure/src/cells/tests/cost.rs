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

#[test]
#[ignore = "a measurement"]
fn cost_of_an_analysts_queries() {
    let rules = DisclosureRules::new(K, &Protection::Exact).unwrap();
    for size in [10_000, 100_000, 1_000_000] {
        let hospital = Hospital::new(size, 1);
        let mut space = space(size);
        let mut entropy = Seeded::new(3);
        let (mut shown, mut all, mut exceeded, mut most, mut work) = (0, 0, 0, 0, 0);
        let mut times: Vec<Duration> = Vec::new();
        for (at, analysis) in (1..).zip(Hospital::analyses(200)) {
            let cells = hospital.cells(&analysis);
            let grid = grid(&cells);
            let spaces = Spaces {
                subjects: &space,
                rows: None,
            };
            let start = Instant::now();
            let decision = decide(&grid, &rules, spaces, &ReleasedSums::default(), &keys(), &mut entropy);
            let time = start.elapsed();
            let decision = match decision {
                Err(DecideError::NoDistinctions { .. }) => {
                    println!("{size}: the budget was used up at query {at}");
                    break;
                }
                decision => decision.unwrap(),
            };
            times.push(time);
            all += cells.iter().filter(|cell| cell.units.len() >= 2 * u64::from(K)).count();
            shown += decision.verdicts().iter().filter(|sets| sets[0].subjects).count();
            let (offer, _) = decision.into_offers();
            exceeded += offer.spent.exceeded;
            most = most.max(offer.spent.work);
            work += offer.spent.work;
            space.commit(offer).unwrap();
            if [5, 10, 20, 50, 60, 100, 150, 200].contains(&at) {
                let rank = space.distinctions() - space.distinctions_left();
                let median = {
                    let mut of: Vec<Duration> = times.split_off(0);
                    of.sort();
                    (of[of.len() / 2], of[of.len() - 1])
                };
                println!(
                    "{size}: {at} queries, {rank} sets; {shown} of {all} cells; work {work}, at most {most}, exceeded {exceeded}; median, longest {median:?}"
                );
                (most, work) = (0, 0);
            }
        }
    }
}
