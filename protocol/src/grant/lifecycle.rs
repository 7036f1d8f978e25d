//! The life of a grant after both have signed.
//!
//! ```text
//! ACTIVE <-> SUSPENDED (provider)      ACTIVE, SUSPENDED -> REVOKED (provider)
//!                                      ACTIVE, SUSPENDED -> RELINQUISHED (consumer)
//!                                      ACTIVE, SUSPENDED -> EXPIRED (time)
//! ```
//! The last three are final.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{GrantTerms, party::Party};
use crate::text::Reason;
use crate::time::Timestamp;

/// What a party does to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantEvent {
    /// The provider stops it for a time.
    Suspend,
    /// The provider lets a suspended one go on.
    Resume,
    /// The provider ends it.
    Revoke,
    /// The consumer gives it back.
    Relinquish,
}

impl GrantEvent {
    /// The one side that may do it.
    pub const fn party(self) -> Party {
        match self {
            Self::Suspend | Self::Resume | Self::Revoke => Party::Provider,
            Self::Relinquish => Party::Consumer,
        }
    }

    const fn leads_to(self) -> Standing {
        match self {
            Self::Suspend => Standing::Suspended,
            Self::Resume => Standing::Active,
            Self::Revoke => Standing::Revoked,
            Self::Relinquish => Standing::Relinquished,
        }
    }
}

impl fmt::Display for GrantEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Relinquish => "relinquish",
        })
    }
}

/// The states a grant can be stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// In use.
    Active,
    /// Stopped for a time.
    Suspended,
    /// Ended by the provider.
    Revoked,
    /// Given back by the consumer.
    Relinquished,
    /// Its time has run out.
    Expired,
}

impl Standing {
    /// Whether nothing can follow.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Active | Self::Suspended => false,
            Self::Revoked | Self::Relinquished | Self::Expired => true,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Relinquished => "relinquished",
            Self::Expired => "expired",
        })
    }
}

/// Where a grant stands, since when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantState {
    /// Where it stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// Why, in the words of the party that changed it.
    pub reason: Option<Reason>,
}

/// What holds at one moment; only [`Effective::Active`] permits anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effective {
    /// Its time has not come.
    NotYet,
    /// It may be used.
    Active,
    /// Stopped for a time.
    Suspended,
    /// Ended by the provider.
    Revoked,
    /// Given back by the consumer.
    Relinquished,
    /// Its time has run out.
    Expired,
}

impl GrantState {
    /// The state of a grant from the moment its negotiation is finalised.
    pub const fn active(since: Timestamp) -> Self {
        Self {
            standing: Standing::Active,
            since,
            reason: None,
        }
    }

    /// The state after `by` did `event` for `reason` at `now`.
    ///
    /// # Errors
    /// [`LifecycleError`] when that party may not do it or the state does not allow it; the state then stays as it is.
    pub fn apply(&self, event: GrantEvent, by: Party, reason: Reason, now: Timestamp) -> Result<Self, LifecycleError> {
        if by != event.party() {
            return Err(LifecycleError::WrongParty { event, by });
        }
        let allowed = match self.standing {
            Standing::Active => event != GrantEvent::Resume,
            Standing::Suspended => event != GrantEvent::Suspend,
            Standing::Revoked | Standing::Relinquished | Standing::Expired => false,
        };
        if allowed {
            Ok(Self {
                standing: event.leads_to(),
                since: now,
                reason: Some(reason),
            })
        } else {
            Err(LifecycleError::WrongState {
                event,
                standing: self.standing,
            })
        }
    }

    /// This state once time is taken into account: what is not final is expired from the end of the window on.
    pub fn settled(&self, terms: &GrantTerms, now: Timestamp) -> Self {
        let end = terms.scope.window.not_after();
        if !self.standing.is_final() && now >= end {
            Self {
                standing: Standing::Expired,
                since: end,
                reason: None,
            }
        } else {
            self.clone()
        }
    }

    /// What holds at `now` under `terms`.
    pub fn effective(&self, terms: &GrantTerms, now: Timestamp) -> Effective {
        match self.settled(terms, now).standing {
            Standing::Active if now < terms.scope.window.not_before() => Effective::NotYet,
            Standing::Active => Effective::Active,
            Standing::Suspended => Effective::Suspended,
            Standing::Revoked => Effective::Revoked,
            Standing::Relinquished => Effective::Relinquished,
            Standing::Expired => Effective::Expired,
        }
    }
}

/// Why a grant does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// The other side alone may do this.
    #[error("the {by} cannot {event} a grant; only the {} can", event.party())]
    WrongParty {
        /// What was tried.
        event: GrantEvent,
        /// Who tried.
        by: Party,
    },
    /// The state does not allow it.
    #[error("cannot {event} a grant that is {standing}")]
    WrongState {
        /// What was tried.
        event: GrantEvent,
        /// Where the grant stands.
        standing: Standing,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::{T0, terms};

    const STATES: [Standing; 5] = [
        Standing::Active,
        Standing::Suspended,
        Standing::Revoked,
        Standing::Relinquished,
        Standing::Expired,
    ];
    const EVENTS: [GrantEvent; 4] = [
        GrantEvent::Suspend,
        GrantEvent::Resume,
        GrantEvent::Revoke,
        GrantEvent::Relinquish,
    ];

    fn allowed() -> Vec<(Standing, GrantEvent, Party, Standing)> {
        vec![
            (
                Standing::Active,
                GrantEvent::Suspend,
                Party::Provider,
                Standing::Suspended,
            ),
            (Standing::Active, GrantEvent::Revoke, Party::Provider, Standing::Revoked),
            (
                Standing::Active,
                GrantEvent::Relinquish,
                Party::Consumer,
                Standing::Relinquished,
            ),
            (
                Standing::Suspended,
                GrantEvent::Resume,
                Party::Provider,
                Standing::Active,
            ),
            (
                Standing::Suspended,
                GrantEvent::Revoke,
                Party::Provider,
                Standing::Revoked,
            ),
            (
                Standing::Suspended,
                GrantEvent::Relinquish,
                Party::Consumer,
                Standing::Relinquished,
            ),
        ]
    }

    #[test]
    fn every_transition_is_in_the_table_or_refused() {
        for standing in STATES {
            for event in EVENTS {
                for by in [Party::Provider, Party::Consumer] {
                    let state = GrantState {
                        standing,
                        since: T0,
                        reason: None,
                    };
                    let got = state
                        .apply(event, by, Reason::fitted("why"), T0.plus_seconds(1))
                        .ok()
                        .map(|s| s.standing);
                    let row = allowed()
                        .into_iter()
                        .find(|(s, e, p, _)| (*s, *e, *p) == (standing, event, by));
                    assert_eq!(got, row.map(|(_, _, _, next)| next), "{standing} {event} {by}");
                }
            }
        }
    }

    #[test]
    fn time_begins_and_ends_a_grant() {
        let terms = terms();
        let window = terms.scope.window;
        let active = GrantState::active(T0);
        assert_eq!(
            active.effective(&terms, window.not_before().plus_millis(-1)),
            Effective::NotYet
        );
        assert_eq!(active.effective(&terms, window.not_before()), Effective::Active);
        assert_eq!(active.effective(&terms, window.not_after()), Effective::Expired);
        let revoked = active
            .apply(GrantEvent::Revoke, Party::Provider, Reason::fitted("misuse"), T0)
            .unwrap();
        assert_eq!(revoked.effective(&terms, window.not_after()), Effective::Revoked);
        let suspended = active
            .apply(GrantEvent::Suspend, Party::Provider, Reason::fitted("audit"), T0)
            .unwrap();
        let settled = suspended.settled(&terms, window.not_after().plus_seconds(9));
        assert_eq!(
            (settled.standing, settled.since),
            (Standing::Expired, window.not_after())
        );
    }
}
