//! How many queries below `records` were sent to a collection, and how often each person has reached a limit.

use std::collections::BTreeMap;

use concordat_protocol::ids::ActorId;
use concordat_protocol::policy_set::Settings;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sharing::hour_counts::HourCounts;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How often a person may reach a limit before their queries are locked, counted in [`COUNTED_MS`]: once may be a mistake in a program, and
/// three times in a month is a way to work.
pub(super) const TIMES: usize = 3;
/// How many answers with a cell that was withheld for what was answered before a person may receive in [`COUNTED_MS`] until their queries
/// are locked. Some are usual in a study: tables that differ in few people or in none. A hundred of them are a search.
pub(super) const ISOLATING: usize = 100;
/// How long it counts that a person has reached a limit, or received such an answer, in milliseconds: 30 days.
const COUNTED_MS: i64 = 30 * DAY_MS;

/// Most queries below `records` to a collection in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Most {
    person: u32,
    institution: u32,
    all: u32,
}

impl From<Settings> for Most {
    /// The limits of a collection, as its steward and the policy set have them.
    fn from(limits: Settings) -> Self {
        Self {
            person: limits.person_queries_below_records,
            institution: limits.institution_queries_below_records,
            all: limits.all_queries_below_records,
        }
    }
}

/// Whose queries a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// One person's.
    Person,
    /// Those of one institution.
    Institution,
    /// Those of all institutions.
    All,
}

/// A limit that has been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) whose: Whose,
    pub(super) most: u32,
    /// Until when; `None` if nothing is permitted at all.
    pub(super) until: Option<Timestamp>,
}

/// What became of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is within the limits, and counted.
    Within,
    /// It is not counted.
    Over {
        /// The limits that have been reached.
        reached: Vec<Reached>,
        /// How often the person has reached a limit in 30 days, if this is another time.
        times: Option<usize>,
    },
}

/// The queries of one institution to one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstitutionCounts {
    queries: HourCounts,
    people: BTreeMap<ActorId, PersonCounts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonCounts {
    queries: HourCounts,
    /// When the person has reached limits.
    reached: Vec<Timestamp>,
    /// When the person has received answers with a cell that was withheld for what was answered before. Left out if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    isolating: Vec<Timestamp>,
}

impl InstitutionCounts {
    /// Counts a query of `person`, here and in `all`, the queries of all institutions; not if a limit has been reached.
    pub(super) fn count(&mut self, all: &mut HourCounts, person: &ActorId, most: Most, now: Timestamp) -> Counted {
        all.retain_counted(now);
        self.retain_counted(now);
        let own = self.people.get(person).cloned().unwrap_or_default();
        let reached = self.reached(&own, all, most);
        if reached.is_empty() {
            all.add(now);
            self.queries.add(now);
            self.of(person).queries.add(now);
            return Counted::Within;
        }
        // What others have sent is not held against a person, and neither is a limit that permits nothing.
        let alone = |limit: &Reached| limit.most > 0 && own.queries.has_reached(limit.most);
        let times = reached
            .iter()
            .any(alone)
            .then(|| self.of(person).note_reached(now))
            .flatten();
        Counted::Over { reached, times }
    }

    /// How many more queries of `person` are within the limits of the person and of the institution, without counting one. What others have
    /// sent is not shown, unless it has reached the limit of all.
    ///
    /// # Errors
    /// The limits that have been reached, for which a query would not be counted.
    pub(super) fn left(
        mut self,
        mut all: HourCounts,
        person: &ActorId,
        most: Most,
        now: Timestamp,
    ) -> Result<u32, Vec<Reached>> {
        all.retain_counted(now);
        self.retain_counted(now);
        let own = self.people.get(person).cloned().unwrap_or_default();
        let reached = self.reached(&own, &all, most);
        if reached.is_empty() {
            Ok(own.queries.left(most.person).min(self.queries.left(most.institution)))
        } else {
            Err(reached)
        }
    }

    /// The limits that a query of a person with these counts would exceed.
    fn reached(&self, own: &PersonCounts, all: &HourCounts, most: Most) -> Vec<Reached> {
        let limits = [
            (Whose::Person, most.person, &own.queries),
            (Whose::Institution, most.institution, &self.queries),
            (Whose::All, most.all, all),
        ];
        let reached = limits
            .into_iter()
            .filter(|(_, most, queries)| queries.has_reached(*most));
        reached
            .map(|(whose, most, queries)| Reached {
                whose,
                most,
                until: queries.below_from(most),
            })
            .collect()
    }

    /// Notes an answer with a cell that was withheld for what was answered before, and returns how many `person` has received in 30 days.
    pub(super) fn note_isolating(&mut self, person: &ActorId, now: Timestamp) -> usize {
        self.retain_counted(now);
        let counts = self.of(person);
        if counts.isolating.len() < ISOLATING {
            counts.isolating.push(now);
        }
        counts.isolating.len()
    }

    /// Forgets how often these people have reached limits, and received such answers.
    pub(super) fn forget_reached<'a>(&mut self, people: impl Iterator<Item = &'a ActorId>) {
        for person in people {
            if let Some(counts) = self.people.get_mut(person) {
                counts.reached.clear();
                counts.isolating.clear();
            }
        }
    }

    fn of(&mut self, person: &ActorId) -> &mut PersonCounts {
        self.people.entry(person.clone()).or_default()
    }

    /// Removes what does not count at `now`, and the people of whom nothing is left.
    fn retain_counted(&mut self, now: Timestamp) {
        self.queries.retain_counted(now);
        self.people.retain(|_, person| {
            person.queries.retain_counted(now);
            // A time in the future, of a clock that was ahead, counts until it has come and 30 days have passed.
            person.reached.retain(|at| now.since(*at) < COUNTED_MS);
            person.isolating.retain(|at| now.since(*at) < COUNTED_MS);
            !person.queries.is_empty() || !person.reached.is_empty() || !person.isolating.is_empty()
        });
    }
}

impl PersonCounts {
    /// Notes that a limit was reached and returns how often that was; `None` within a day of the last time: a program that tries again
    /// reaches it many times.
    fn note_reached(&mut self, now: Timestamp) -> Option<usize> {
        if self.reached.iter().any(|at| now.since(*at).saturating_abs() < DAY_MS) {
            return None;
        }
        self.reached.push(now);
        Some(self.reached.len())
    }
}

#[cfg(test)]
impl Most {
    /// These limits.
    pub(super) const fn of(person: u32, institution: u32, all: u32) -> Self {
        Self {
            person,
            institution,
            all,
        }
    }
}
