//! The planted facts, counted again from the rows; and the rows themselves, as another program computes them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn digest(text: &str) -> String {
    Digest32::sha256(labels::CANARY, text.as_bytes()).to_string()
}

/// The digests are those of a second implementation of the description, `tests/foreign/canary.py`.
#[test]
fn canary_of_a_seed_is_the_reviewed_one() {
    let mut counted = [0; 32];
    for (byte, number) in counted.iter_mut().zip(0..) {
        *byte = number;
    }
    let known = [
        (
            [0; 32],
            "7f8a936ffbc0ceebfd1a0eff61c03c2018814004f92675ab552b2322f9d7ac65",
            "7435b1413bd35b01adfef180f163b2db5c2e5731e74bd65f24e1dccacf0e5d5a",
        ),
        (
            counted,
            "35947d78f11ae1688dced88309e8bd4f503c932a07e81ede340ac68aa6197abc",
            "73dd92232228f3be359036be98bc6bc5796d99eb9f9bf13eba9e7c766883b9fa",
        ),
    ];
    for (seed, people, visits) in known {
        let canary = Canary::of(seed);
        assert_eq!(digest(&canary.people_csv()), people);
        assert_eq!(digest(&canary.visits_csv()), visits);
    }
    let canary = Canary::of([0; 32]);
    let csv = canary.people_csv();
    let first: Vec<&str> = csv.lines().take(3).collect();
    assert_eq!(first, ["subject,site,sex,age,marker", "s000,b,f,74,0", "s001,b,f,41,0"]);
    assert_eq!(canary.facts.small_sites, [('e', 1), ('c', 2), ('f', 4), ('d', 9)]);
    assert_eq!(
        canary.facts.pair,
        DifferencingPair {
            site: 'b',
            up_to_age: 83,
            target: 55
        }
    );
    assert_eq!(canary.facts.rare, [106, 107, 108]);
}

/// The subjects of each site, counted from the rows.
fn subjects_by_site(canary: &Canary) -> BTreeMap<char, BTreeSet<u8>> {
    let mut sites = BTreeMap::<char, BTreeSet<u8>>::new();
    for person in &canary.people {
        sites.entry(person.site).or_default().insert(person.subject);
    }
    sites
}

proptest! {
    #[test]
    fn canary_has_each_subject_once_and_visits_of_all(seed: [u8; 32]) {
        let canary = Canary::of(seed);
        prop_assert_eq!(&canary, &Canary::of(seed));
        let subjects: Vec<u8> = canary.people.iter().map(|person| person.subject).collect();
        prop_assert_eq!(subjects, (0..SUBJECTS).collect::<Vec<_>>());
        let visiting: BTreeSet<u8> = canary.visits.iter().map(|visit| visit.subject).collect();
        prop_assert_eq!(visiting.len(), usize::from(SUBJECTS));
    }

    #[test]
    fn canary_cells_are_small_large_and_empty_as_stated(seed: [u8; 32]) {
        let canary = Canary::of(seed);
        let sites = subjects_by_site(&canary);
        let facts = canary.facts;
        for (site, size) in facts.small_sites.into_iter().chain(facts.large_sites) {
            prop_assert_eq!(sites[&site].len(), usize::from(size));
        }
        prop_assert_eq!(sites.len(), 7);
        prop_assert!(!sites.contains_key(&facts.empty_site));
        // Whatever the minimum is, there is a cell on both sides of it.
        for min_cell in 2..=50 {
            prop_assert!(facts.small_sites.iter().any(|(_, size)| *size < min_cell));
            prop_assert!(facts.large_sites.iter().all(|(_, size)| *size >= min_cell));
        }
    }

    #[test]
    fn canary_pair_differs_in_exactly_the_target(seed: [u8; 32]) {
        let canary = Canary::of(seed);
        let DifferencingPair { site, up_to_age, target } = canary.facts.pair;
        let all: BTreeSet<u8> = subjects_by_site(&canary)[&site].clone();
        let younger = canary.people.iter().filter(|person| person.site == site && person.age <= up_to_age);
        let younger: BTreeSet<u8> = younger.map(|person| person.subject).collect();
        prop_assert!(younger.len() >= 49);
        prop_assert_eq!(all.difference(&younger).copied().collect::<Vec<_>>(), [target]);
    }

    #[test]
    fn canary_rare_code_has_many_rows_of_three_subjects(seed: [u8; 32]) {
        let canary = Canary::of(seed);
        let rare = canary.visits.iter().filter(|visit| visit.code == CanaryCode::Rare);
        let subjects: Vec<u8> = rare.map(|visit| visit.subject).collect();
        prop_assert_eq!(subjects.len(), 60);
        let stated = BTreeSet::from(canary.facts.rare);
        prop_assert_eq!(stated.len(), 3);
        prop_assert_eq!(subjects.into_iter().collect::<BTreeSet<_>>(), stated);
    }

    #[test]
    fn canary_of_another_seed_has_other_values(seed: [u8; 32], bit in 0_usize..256) {
        let mut other = seed;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(Canary::of(seed).people, Canary::of(other).people);
    }
}
