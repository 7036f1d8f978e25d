//! Which of the queries that wait begins next, so that no person holds all that their institution may have.
//!
//! 1. At most [`SlotLimits::all`] queries run, and at most [`SlotLimits::per_person`] of one person.
//! 2. Of those that may begin, one of the person with the fewest running queries does, and of those the one that waits longest.
//!
//! A person whose answers are read slowly keeps slots for as long as that takes; what is left is for others.

use std::collections::BTreeMap;

/// How many queries run at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotLimits {
    /// Of all persons together.
    pub(super) all: usize,
    /// Of one person.
    pub(super) per_person: usize,
}

/// The number of a query; later ones have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// The queries of persons `P` that run, and those that wait, each with the `W` that wakes it.
#[derive(Debug)]
pub(super) struct FairSlots<P, W> {
    limits: SlotLimits,
    next: u64,
    waiting: BTreeMap<Ticket, (P, W)>,
    running: BTreeMap<Ticket, P>,
}

impl<P: Eq, W> FairSlots<P, W> {
    pub(super) const fn new(limits: SlotLimits) -> Self {
        Self {
            limits,
            next: 0,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// Adds a query that waits. Whether it may begin at once is found by [`Self::start_next`].
    pub(super) fn enter(&mut self, person: P, wake: W) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.saturating_add(1);
        self.waiting.insert(ticket, (person, wake));
        ticket
    }

    /// Removes a query, whether it waits or runs.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.running.remove(&ticket);
    }

    /// The next query that begins, which runs from now on; `None` if none may. Must be called until it is `None` after each change.
    pub(super) fn start_next(&mut self) -> Option<W> {
        if self.running.len() >= self.limits.all {
            return None;
        }
        let ticket = self.next_ticket()?;
        let (person, wake) = self.waiting.remove(&ticket)?;
        self.running.insert(ticket, person);
        Some(wake)
    }

    /// Whether no query waits or runs.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    fn next_ticket(&self) -> Option<Ticket> {
        let waiting = self.waiting.iter();
        let ranked = waiting.map(|(ticket, (person, _))| (self.running_of(person), *ticket));
        let may_begin = ranked.filter(|(running, _)| *running < self.limits.per_person);
        may_begin.min().map(|(_, ticket)| ticket)
    }

    fn running_of(&self, person: &P) -> usize {
        self.running.values().filter(|running| *running == person).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: SlotLimits = SlotLimits { all: 4, per_person: 2 };

    /// All queries that begin now, by their names.
    fn started(slots: &mut FairSlots<char, &'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| slots.start_next()).collect()
    }

    #[test]
    fn fair_slots_leave_some_to_other_persons() {
        let mut slots = FairSlots::new(LIMITS);
        let first = slots.enter('a', "a1");
        for name in ["a2", "a3", "a4", "a5"] {
            slots.enter('a', name);
        }
        assert_eq!(started(&mut slots), ["a1", "a2"]);
        slots.enter('b', "b1");
        assert_eq!(started(&mut slots), ["b1"]);
        slots.leave(first);
        assert_eq!(started(&mut slots), ["a3"]);
    }

    #[test]
    fn fair_slots_are_first_for_persons_with_fewer_queries() {
        let mut slots = FairSlots::new(SlotLimits { all: 3, per_person: 3 });
        let running: Vec<_> = ["a1", "a2", "b1"]
            .map(|name| slots.enter(name.chars().next().unwrap(), name))
            .into();
        assert_eq!(started(&mut slots), ["a1", "b1", "a2"]);
        slots.enter('a', "a3");
        slots.enter('b', "b2");
        slots.enter('c', "c1");
        slots.enter('c', "c2");
        slots.leave(running[1]);
        assert_eq!(started(&mut slots), ["c1"]);
        slots.leave(running[0]);
        // `a` has none, and the others have one each.
        assert_eq!(started(&mut slots), ["a3"]);
    }

    #[test]
    fn fair_slots_forget_queries_that_leave_while_they_wait() {
        let mut slots = FairSlots::new(SlotLimits { all: 1, per_person: 1 });
        let runs = slots.enter('a', "a1");
        assert_eq!(started(&mut slots), ["a1"]);
        let waits = slots.enter('b', "b1");
        slots.enter('b', "b2");
        slots.leave(waits);
        assert_eq!(started(&mut slots), [""; 0]);
        slots.leave(runs);
        assert_eq!(started(&mut slots), ["b2"]);
        assert!(!slots.is_empty());
    }

    proptest! {
        /// Each step is the arrival of a query of a person, or the end of the query with that number.
        #[test]
        fn fair_slots_are_within_limits_and_never_idle(
            steps in proptest::collection::vec((0_u8..4, any::<bool>(), any::<prop::sample::Index>()), 0..80),
        ) {
            let mut slots = FairSlots::new(LIMITS);
            let mut present: Vec<Ticket> = Vec::new();
            for (person, arrives, which) in steps {
                if arrives || present.is_empty() {
                    present.push(slots.enter(person, ()));
                } else {
                    slots.leave(present.remove(which.index(present.len())));
                }
                while slots.start_next().is_some() {}
                let running = |person: u8| slots.running.values().filter(|one| **one == person).count();
                prop_assert!(slots.running.len() <= LIMITS.all);
                prop_assert!((0..4).all(|person| running(person) <= LIMITS.per_person));
                prop_assert_eq!(slots.running.len() + slots.waiting.len(), present.len());
                let may_begin = slots.waiting.values().any(|(person, ())| running(*person) < LIMITS.per_person);
                prop_assert!(slots.running.len() == LIMITS.all || !may_begin, "a query waits for no reason");
            }
        }
    }
}
