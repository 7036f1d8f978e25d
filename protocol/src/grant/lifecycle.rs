//! The lifecycle of a grant after both sides have signed it.
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
    /// The provider suspends it.
    Suspend,
    /// The provider resumes a suspended grant.
    Resume,
    /// The provider revokes it.
    Revoke,
    /// The consumer relinquishes it.
    Relinquish,
}

impl GrantEvent {
    /// The only party that may do it.
    pub const fn party(self) -> Party {
        match self {
            Self::Suspend | Self::Resume | Self::Revoke => Party::Provider,
            Self::Relinquish => Party::Consumer,
        }
    }

    /// Whether nothing follows it.
    pub const fn ends_the_grant(self) -> bool {
        self.leads_to().is_final()
    }

    const fn leads_to(self) -> GrantStatus {
        match self {
            Self::Suspend => GrantStatus::Suspended,
            Self::Resume => GrantStatus::Active,
            Self::Revoke => GrantStatus::Revoked,
            Self::Relinquish => GrantStatus::Relinquished,
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

/// The states in which a grant can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantStatus {
    /// In use.
    Active,
    /// Suspended by the provider.
    Suspended,
    /// Revoked by the provider.
    Revoked,
    /// Relinquished by the consumer.
    Relinquished,
    /// Its time window is over.
    Expired,
}

impl GrantStatus {
    /// Whether no other status can follow.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Active | Self::Suspended => false,
            Self::Revoked | Self::Relinquished | Self::Expired => true,
        }
    }
}

impl fmt::Display for GrantStatus {
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

/// The status of a grant, since when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantState {
    /// The status.
    pub status: GrantStatus,
    /// Since when.
    pub since: Timestamp,
    /// Why, as stated by the party that changed it.
    pub reason: Option<Reason>,
}

/// The status of a grant at one time; only [`Effective::Active`] permits anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effective {
    /// Its time window has not begun.
    NotYet,
    /// It may be used.
    Active,
    /// Suspended by the provider.
    Suspended,
    /// Revoked by the provider.
    Revoked,
    /// Relinquished by the consumer.
    Relinquished,
    /// Its time window is over.
    Expired,
}

impl GrantState {
    /// The state of a grant from the moment its negotiation is finalized.
    pub const fn active(since: Timestamp) -> Self {
        Self {
            status: GrantStatus::Active,
            since,
            reason: None,
        }
    }

    /// The state after `by` did `event` for `reason` at `now`.
    ///
    /// # Errors
    /// [`LifecycleError`] if that party may not do it or the state does not allow it; the state is then unchanged.
    pub fn apply(&self, event: GrantEvent, by: Party, reason: Reason, now: Timestamp) -> Result<Self, LifecycleError> {
        if by != event.party() {
            return Err(LifecycleError::WrongParty { event, by });
        }
        let allowed = match self.status {
            GrantStatus::Active => event != GrantEvent::Resume,
            GrantStatus::Suspended => event != GrantEvent::Suspend,
            GrantStatus::Revoked | GrantStatus::Relinquished | GrantStatus::Expired => false,
        };
        if allowed {
            Ok(Self {
                status: event.leads_to(),
                since: now,
                reason: Some(reason),
            })
        } else {
            Err(LifecycleError::WrongState {
                event,
                status: self.status,
            })
        }
    }

    /// This state with expiry applied: a state that is not final is expired from the end of the window on.
    pub fn with_expiry(&self, terms: &GrantTerms, now: Timestamp) -> Self {
        let end = terms.scope.window.not_after();
        if !self.status.is_final() && now >= end {
            Self {
                status: GrantStatus::Expired,
                since: end,
                reason: None,
            }
        } else {
            self.clone()
        }
    }

    /// The effective status at `now` under `terms`.
    pub fn effective(&self, terms: &GrantTerms, now: Timestamp) -> Effective {
        match self.with_expiry(terms, now).status {
            GrantStatus::Active if now < terms.scope.window.not_before() => Effective::NotYet,
            GrantStatus::Active => Effective::Active,
            GrantStatus::Suspended => Effective::Suspended,
            GrantStatus::Revoked => Effective::Revoked,
            GrantStatus::Relinquished => Effective::Relinquished,
            GrantStatus::Expired => Effective::Expired,
        }
    }
}

/// Why a grant does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// Only the other party may do this.
    #[error("the {by} cannot {event} a grant; only the {} can", event.party())]
    WrongParty {
        /// What was tried.
        event: GrantEvent,
        /// Who tried it.
        by: Party,
    },
    /// The state does not allow it.
    #[error("cannot {event} a grant that is {status}")]
    WrongState {
        /// What was tried.
        event: GrantEvent,
        /// The status of the grant.
        status: GrantStatus,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::{T0, terms};

    const STATES: [GrantStatus; 5] = [
        GrantStatus::Active,
        GrantStatus::Suspended,
        GrantStatus::Revoked,
        GrantStatus::Relinquished,
        GrantStatus::Expired,
    ];
    const EVENTS: [GrantEvent; 4] = [
        GrantEvent::Suspend,
        GrantEvent::Resume,
        GrantEvent::Revoke,
        GrantEvent::Relinquish,
    ];

    fn allowed() -> Vec<(GrantStatus, GrantEvent, Party, GrantStatus)> {
        vec![
            (
                GrantStatus::Active,
                GrantEvent::Suspend,
                Party::Provider,
                GrantStatus::Suspended,
            ),
            (
                GrantStatus::Active,
                GrantEvent::Revoke,
                Party::Provider,
                GrantStatus::Revoked,
            ),
            (
                GrantStatus::Active,
                GrantEvent::Relinquish,
                Party::Consumer,
                GrantStatus::Relinquished,
            ),
            (
                GrantStatus::Suspended,
                GrantEvent::Resume,
                Party::Provider,
                GrantStatus::Active,
            ),
            (
                GrantStatus::Suspended,
                GrantEvent::Revoke,
                Party::Provider,
                GrantStatus::Revoked,
            ),
            (
                GrantStatus::Suspended,
                GrantEvent::Relinquish,
                Party::Consumer,
                GrantStatus::Relinquished,
            ),
        ]
    }

    #[test]
    fn every_transition_is_in_the_table_or_refused() {
        for status in STATES {
            for event in EVENTS {
                for by in [Party::Provider, Party::Consumer] {
                    let state = GrantState {
                        status,
                        since: T0,
                        reason: None,
                    };
                    let actual = state
                        .apply(event, by, Reason::sanitized("why"), T0.plus_seconds(1))
                        .ok()
                        .map(|s| s.status);
                    let row = allowed()
                        .into_iter()
                        .find(|(s, e, p, _)| (*s, *e, *p) == (status, event, by));
                    assert_eq!(actual, row.map(|(_, _, _, next)| next), "{status} {event} {by}");
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
            .apply(GrantEvent::Revoke, Party::Provider, Reason::sanitized("misuse"), T0)
            .unwrap();
        assert_eq!(revoked.effective(&terms, window.not_after()), Effective::Revoked);
        let suspended = active
            .apply(GrantEvent::Suspend, Party::Provider, Reason::sanitized("audit"), T0)
            .unwrap();
        let expired = suspended.with_expiry(&terms, window.not_after().plus_seconds(9));
        assert_eq!(
            (expired.status, expired.since),
            (GrantStatus::Expired, window.not_after())
        );
    }
}
