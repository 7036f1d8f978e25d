//! Joins of random persons and events, compared with loops over the same rows: keys that are missing, repeated or of one side only.

use std::{collections::BTreeSet, sync::OnceLock};

use proptest::{collection::vec, option, prelude::*};
use tokio::runtime::Runtime;

use super::{
    JOINED,
    clinic::{Clinic, about_women, events_of, persons_with, scope},
};
use crate::tests::grant;

/// Waits for a future in a runtime that all cases have.
fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(work)
}

/// The rows that a grant shows, each with its number and key.
#[derive(Debug)]
struct Shown {
    persons: Vec<(usize, Option<u32>)>,
    events: Vec<(usize, Option<u32>)>,
}

impl Shown {
    fn of(persons: &[(Option<u32>, bool)], events: &[Option<u32>], women_only: bool) -> Self {
        let women: BTreeSet<u32> = persons
            .iter()
            .filter_map(|(key, woman)| key.filter(|_| *woman))
            .collect();
        let is_shown = |key: Option<u32>| !women_only || key.is_some_and(|key| women.contains(&key));
        let shown = |keys: Vec<Option<u32>>| {
            let numbered = keys.into_iter().enumerate();
            numbered.filter(|(_, key)| is_shown(*key)).collect()
        };
        Self {
            persons: shown(persons.iter().map(|(key, _)| *key).collect()),
            events: shown(events.to_vec()),
        }
    }

    /// The numbers of the persons with a key.
    fn persons_of(&self, key: Option<u32>) -> Vec<usize> {
        let same = self.persons.iter().filter(|(_, other)| key.is_some() && *other == key);
        same.map(|(number, _)| *number).collect()
    }

    fn inner(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for (event, key) in &self.events {
            rows.extend(self.persons_of(*key).iter().map(|person| texts(&[*person, *event])));
        }
        rows
    }

    fn left(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for (event, key) in &self.events {
            let persons = self.persons_of(*key);
            if persons.is_empty() {
                rows.push(vec![event.to_string(), String::new()]);
            }
            rows.extend(persons.iter().map(|person| texts(&[*event, *person])));
        }
        rows
    }

    fn unmatched(&self) -> Vec<Vec<String>> {
        let events = self.events.iter().filter(|(_, key)| self.persons_of(*key).is_empty());
        events.map(|(event, _)| texts(&[*event])).collect()
    }

    fn counted(&self) -> Vec<Vec<String>> {
        let count = |key: Option<u32>| {
            let same = self.events.iter().filter(|(_, other)| key.is_some() && *other == key);
            same.count()
        };
        let persons = self.persons.iter();
        persons.map(|(number, key)| texts(&[*number, count(*key)])).collect()
    }
}

fn texts(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(ToString::to_string).collect()
}

const LEFT: &str =
    "SELECT e.number AS event, p.number AS person FROM event e LEFT JOIN person p ON p.person_id = e.person_id";
const UNMATCHED: &str =
    "SELECT number FROM event e WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.person_id = e.person_id)";
const ANTI: &str = "SELECT event.number FROM event LEFT ANTI JOIN person ON person.person_id = event.person_id";
const COUNTED: &str = "SELECT p.number, count(e.number) AS n FROM person p LEFT JOIN event e ON e.person_id = p.person_id \
                       GROUP BY p.number";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn joins_of_random_rows_are_those_of_loops(
        persons in vec((option::weighted(0.8, 0..6_u32), any::<bool>()), 0..8),
        events in vec(option::weighted(0.8, 0..8_u32), 0..12),
        women_only in any::<bool>(),
        hidden in any::<bool>(),
    ) {
        let shown = Shown::of(&persons, &events, women_only);
        let expected = [
            (JOINED, shown.inner()),
            (LEFT, shown.left()),
            (UNMATCHED, shown.unmatched()),
            (ANTI, shown.unmatched()),
            (COUNTED, shown.counted()),
        ];
        wait(async {
            let clinic = Clinic::of([persons_with(&persons), events_of(&events)], &|row, _| row).await;
            for (sql, mut rows) in expected {
                let all = scope(&["person", "event"], hidden);
                let scope = if women_only { about_women(all) } else { all };
                rows.sort();
                assert_eq!(clinic.sorted(grant(1), scope, sql).await, rows, "{sql}");
            }
        });
    }
}
