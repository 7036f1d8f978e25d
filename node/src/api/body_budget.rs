//! How long the body of a request may be, and how much memory those of all requests take together.
//!
//! Each route states the most bytes that it accepts ([`super::route_access::Route::accepts_up_to`]); most accept [`MAX_SMALL`].
//!
//! A body is in memory from its first byte, and a client may hold back its last one. Those of up to [`MAX_SMALL`] are bounded by the number of
//! connections: 32 MiB with the most that the socket has. Larger ones, which only logged-in people can send, are counted: the length that a request states, or the most that its route
//! accepts. They count until the request is answered, since the document that was read from the body takes memory as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::MAX_SQL;

/// Most bytes in the body of a route that does not state another limit: names, times, reasons, passwords, lists of keys or hosts. JSON parsers stop
/// at a depth of 128.
pub(super) const MAX_SMALL: usize = 64 << 10;
/// Most bytes in the body of a login, which anyone can send: twice the longest name and password.
pub(super) const MAX_LOGIN: usize = 4 << 10;
/// Most bytes in the body of a query, whose text is six times as long in JSON if each byte of it is escaped.
pub(super) const MAX_QUERY: usize = 6 * MAX_SQL + MAX_SMALL;
/// Most bytes in the body of a document: the longest roster file, encoded in JSON; policy sets; scopes that name all columns of a table.
pub(super) const MAX_DOCUMENT: usize = 4 << 20;

/// Most bytes of all counted bodies.
const ALL: usize = 8 * MAX_DOCUMENT;
/// Most bytes of those of one person, so that four people are needed to use up the limit of all.
const PER_PERSON: usize = 2 * MAX_DOCUMENT;

/// The bodies that are in memory, in bytes by person; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyBudget(Arc<Mutex<Reserved>>);

/// Bodies whose sender has no session are together.
type Reserved = BTreeMap<Option<ActorId>, usize>;

/// What the body of one request may take. Clones share what was reserved for it, which ends with the last of them.
#[derive(Clone, Debug)]
pub(super) struct BodyAllowance {
    max: usize,
    reservation: Arc<Reservation>,
}

/// Bytes of a budget, given back when this is dropped.
#[derive(Debug)]
struct Reservation {
    budget: BodyBudget,
    person: Option<ActorId>,
    bytes: Mutex<usize>,
}

impl BodyAllowance {
    /// At most `max` bytes of `budget`, for a request of `person`.
    pub(super) fn new(budget: &BodyBudget, max: usize, person: Option<ActorId>) -> Self {
        let reservation = Reservation {
            budget: budget.clone(),
            person,
            bytes: Mutex::default(),
        };
        Self {
            max,
            reservation: Arc::new(reservation),
        }
    }

    /// Most bytes of the body.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Reserves memory for a body of at most so many bytes. It does not wait.
    ///
    /// # Errors
    /// `unreachable` if too much is in use, by the person or in all.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), Problem> {
        if bytes <= MAX_SMALL {
            return Ok(());
        }
        let Reservation {
            budget,
            person,
            bytes: reserved,
        } = &*self.reservation;
        let mut all = locked(&budget.0);
        let own = all.get(person).copied().unwrap_or_default().saturating_add(bytes);
        let total = all.values().sum::<usize>().saturating_add(bytes);
        if own > PER_PERSON || total > ALL {
            return Err(busy());
        }
        all.insert(person.clone(), own);
        let mut reserved = locked(reserved);
        *reserved = reserved.saturating_add(bytes);
        Ok(())
    }
}

/// The limit of a request that reached no route with another one.
impl Default for BodyAllowance {
    fn default() -> Self {
        Self::new(&BodyBudget::default(), MAX_SMALL, None)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let bytes = *locked(&self.bytes);
        if bytes == 0 {
            return;
        }
        let mut all = locked(&self.budget.0);
        let left = all.get(&self.person).map_or(0, |own| own.saturating_sub(bytes));
        // People without a body need no entry, so that the list stays short.
        if left == 0 {
            all.remove(&self.person);
        } else {
            all.insert(self.person.clone(), left);
        }
    }
}

fn busy() -> Problem {
    Problem::new(
        ErrorKind::Unreachable,
        "too many long documents are being received, of yours or in all",
    )
    .help("wait until the requests before have been answered, and try again")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Option<ActorId> {
        Some(format!("{name}@budapest").parse().unwrap())
    }

    fn reserve(budget: &BodyBudget, person: Option<ActorId>, bytes: usize) -> Option<BodyAllowance> {
        let allowance = BodyAllowance::new(budget, MAX_DOCUMENT, person);
        allowance.reserve(bytes).ok().map(|()| allowance)
    }

    #[test]
    fn body_budget_of_one_person_and_of_all_is_bounded() {
        let budget = BodyBudget::default();
        let mut held = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            for _ in 0..10 {
                held.extend(reserve(&budget, person(name), MAX_DOCUMENT));
            }
            let own = locked(&budget.0).get(&person(name)).copied().unwrap_or_default();
            assert!(own <= PER_PERSON, "{name}: {own}");
        }
        assert_eq!(held.len(), ALL / MAX_DOCUMENT);
        assert!(reserve(&budget, person("f"), MAX_SMALL + 1).is_none());
        assert!(reserve(&budget, person("f"), MAX_SMALL).is_some());
        // A clone keeps the reservation, and its last one ends it.
        let kept = held.pop();
        let clone = kept.clone();
        drop(kept);
        assert!(reserve(&budget, person("f"), MAX_DOCUMENT).is_none());
        drop(clone);
        assert!(reserve(&budget, person("f"), MAX_DOCUMENT).is_some());
        drop(held);
        assert!(locked(&budget.0).is_empty());
    }
}
