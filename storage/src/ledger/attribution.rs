//! The proof of who caused an entry, and whether they may still act.

use std::fmt;
use std::sync::Arc;

use concordat_protocol::audit::Cause;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use crate::meta::MetaError;

/// What an attribution rests on besides the authentication, which is in the past: a session, for example, and the account behind it.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Checks that the cause may still act at `now`.
    ///
    /// # Errors
    /// [`AuthorityError`] if it may not, or that cannot be found out.
    fn check(&self, now: Timestamp) -> Result<(), AuthorityError>;
}

/// Why an action that was permitted when it began is not made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The session has ended, or the account is another one than at the login.
    #[error(
        "the session in which this began has ended, or the account was changed meanwhile; log in with `concordat login` and try again"
    )]
    Ended,
    /// The account cannot be read.
    #[error("it cannot be checked whether the account may still do this")]
    State(#[from] MetaError),
}

impl Explain for AuthorityError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Ended => ErrorKind::Locked,
            Self::State(source) => source.kind(),
        }
    }
}

/// Who or what caused an action. Every append needs one, so a service that acts on behalf of someone must receive theirs.
///
/// [`Attribution::vouch`] is called only where the person, peer or account was authenticated: a contract test counts its callers. That of a
/// person rests on an [`Authority`], which every append checks: time passes between the authentication and the entry.
#[derive(Clone)]
pub struct Attribution {
    cause: Cause,
    authority: Option<Arc<dyn Authority>>,
}

impl Attribution {
    /// Creates an attribution; the caller has authenticated the cause.
    pub const fn vouch(cause: Cause) -> Self {
        Self { cause, authority: None }
    }

    /// The same cause, for as long as `authority` lasts.
    #[must_use]
    pub fn resting_on(self, authority: Arc<dyn Authority>) -> Self {
        Self {
            authority: Some(authority),
            ..self
        }
    }

    /// The same cause for an entry about what was done already, or was refused: it is recorded even if its cause may act no longer.
    #[must_use]
    pub fn for_outcome(&self) -> Self {
        Self::vouch(self.cause.clone())
    }

    /// Checks that the cause may still act. Every append does so; work that takes long does so too, before it takes effect.
    ///
    /// # Errors
    /// [`AuthorityError`] if it may not, or that cannot be found out.
    pub fn check(&self, now: Timestamp) -> Result<(), AuthorityError> {
        self.authority.as_ref().map_or(Ok(()), |authority| authority.check(now))
    }

    /// A person, for tests.
    #[cfg(test)]
    pub(crate) fn eva() -> Self {
        Self::vouch(Cause::Person {
            actor: ActorId::new("eva@budapest").unwrap(),
        })
    }

    /// The cause.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The person, or the one on whose behalf a peer acts.
    pub const fn actor(&self) -> Option<&ActorId> {
        self.cause.actor()
    }

    /// The same peer, acting on behalf of the person that its signed assertion names; any other cause is unchanged.
    #[must_use]
    pub fn on_behalf_of(self, person: ActorId) -> Self {
        let Self { cause, authority } = self;
        let cause = match cause {
            Cause::Peer { node, institution, .. } => Cause::Peer {
                node,
                institution,
                actor: Some(person),
            },
            other @ (Cause::Person { .. } | Cause::TwoPeople { .. } | Cause::OsAccount { .. } | Cause::Node { .. }) => {
                other
            }
        };
        Self { cause, authority }
    }
}

/// Two are equal if the causes are: what they rest on is no part of an entry.
impl PartialEq for Attribution {
    fn eq(&self, other: &Self) -> bool {
        self.cause == other.cause
    }
}

impl Eq for Attribution {}

impl fmt::Debug for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attribution").field(&self.cause).finish()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! An authority that a test ends.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use concordat_protocol::time::Timestamp;

    use super::{Attribution, Authority, AuthorityError};

    #[derive(Debug, Default)]
    pub(crate) struct Ending(AtomicBool);

    impl Ending {
        /// A person who may act until [`Ending::end`].
        pub(crate) fn person(self: &Arc<Self>) -> Attribution {
            let authority: Arc<dyn Authority> = self.clone();
            Attribution::eva().resting_on(authority)
        }

        pub(crate) fn end(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    impl Authority for Ending {
        fn check(&self, _: Timestamp) -> Result<(), AuthorityError> {
            if self.0.load(Ordering::SeqCst) {
                Err(AuthorityError::Ended)
            } else {
                Ok(())
            }
        }
    }
}
