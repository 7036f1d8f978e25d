//! Whether two people are independent, so that the second may confirm what the first requested.
//!
//! An administrator gives accounts, roles and passwords. One who may also make the request that two people have to agree to, or confirm it, could
//! use the account of the other person as well: an account made for that, or one taken over, directly or through more accounts. So:
//!
//! 1. The second person has had the role, and a password of their own, since before the request.
//! 2. A person *controls* an account if they create it for another person, set its roles or its password, or enable it. The person who controls an account
//!    counts as its user until a day has passed, and so does each person who controls the account of a user, in any order.
//! 3. Two people are independent if, in the day before the request and since, neither of them nor anyone else counts as the user of both accounts.
//!
//! In that day the person who owns the account sees at a login who has set the password, and others see in the ledger what was done. What is counted
//! is never removed: each account stores when each other person last controlled it. A time in the future, of a clock that was ahead, counts until it
//! has come and a day has passed. A request of a time in the future is confirmed by no one: a day before it would be none.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use super::account::Account;
use super::error::{Dependence, IamError};

/// How long a person who has controlled an account counts as its user, in milliseconds: a day.
const APART_MS: i64 = 24 * 60 * 60 * 1000;

/// All accounts at one instant.
#[derive(Debug)]
pub(super) struct People(BTreeMap<ActorId, Account>);

impl People {
    /// Those of an institution.
    pub(super) fn new(accounts: BTreeMap<ActorId, Account>) -> Self {
        Self(accounts)
    }

    /// Checks that `second` may confirm at `now` what `first`, another person, requested at `requested`.
    ///
    /// # Errors
    /// [`IamError::NotIndependent`] with the time from which requests can be confirmed; [`IamError::Unknown`] if `second` has no account.
    pub(super) fn check_independent(
        &self,
        first: &ActorId,
        second: &ActorId,
        (requested, now): (Timestamp, Timestamp),
    ) -> Result<(), IamError> {
        let refused = |reason, from| {
            Err(IamError::NotIndependent {
                name: second.name().to_owned(),
                first: first.clone(),
                reason,
                from,
            })
        };
        let Some(account) = self.0.get(second) else {
            let name = second.name().to_owned();
            return Err(IamError::Unknown { name });
        };
        if requested > now {
            return refused(Dependence::FromFuture, now);
        }
        let roles_since = account.roles_since();
        if roles_since > requested {
            return refused(Dependence::NewRoles, roles_since);
        }
        // A password that another person has set opens no session in which anything could be confirmed.
        let owned_since = account.owned_since().unwrap_or(requested.plus_millis(1));
        if owned_since > requested {
            return refused(Dependence::NewPassword, owned_since);
        }
        match self.dependence(first, second, requested.plus_millis(-APART_MS)) {
            Some(reason) => refused(
                reason,
                self.last_dependent(first, second, requested).plus_millis(APART_MS),
            ),
            None => Ok(()),
        }
    }

    /// How two people depend on each other by what was done after `after`; `None` if they do not.
    fn dependence(&self, first: &ActorId, second: &ActorId, after: Timestamp) -> Option<Dependence> {
        let users_of_first = self.users(first, after);
        let users_of_second = self.users(second, after);
        if users_of_second.contains(first) {
            return Some(Dependence::OnFirst);
        }
        if users_of_first.contains(second) {
            return Some(Dependence::OnSecond);
        }
        if !users_of_first.is_disjoint(&users_of_second) {
            return Some(Dependence::OnAnother);
        }
        None
    }

    /// Who counts as the user of an account by what was done after `after`: its owner, and all who controlled it or the account of one of them.
    fn users(&self, owner: &ActorId, after: Timestamp) -> BTreeSet<ActorId> {
        let mut users = BTreeSet::new();
        let mut next = vec![owner.clone()];
        while let Some(user) = next.pop() {
            // A person whose account is not there, as after a restore, is controlled by no one that is known.
            let controllers = self.0.get(&user).map(Account::controllers).unwrap_or_default();
            if users.insert(user) {
                let recent = controllers.into_iter().filter(|(_, at)| *at > after);
                next.extend(recent.map(|(by, _)| by));
            }
        }
        users
    }

    /// When the last control was exercised that makes two dependent people dependent. The later `after` is, the less counts, so the times after which
    /// they are still dependent come before the others.
    fn last_dependent(&self, first: &ActorId, second: &ActorId, requested: Timestamp) -> Timestamp {
        let controls = self.0.values().flat_map(|account| account.controllers().into_values());
        let mut times: Vec<Timestamp> = controls.collect();
        times.sort_unstable();
        let dependent = times.partition_point(|at| self.dependence(first, second, *at).is_some());
        times.get(dependent).copied().unwrap_or(requested)
    }
}
