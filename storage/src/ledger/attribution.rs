//! The proof of who caused an entry.

use concordat_protocol::audit::Cause;
use concordat_protocol::ids::ActorId;

/// Who or what caused an action. Every append needs one, so a service that acts on behalf of someone must receive theirs.
///
/// [`Attribution::vouch`] is called only where the person, peer or account was authenticated: a contract test counts its callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution(Cause);

impl Attribution {
    /// Creates an attribution; the caller has authenticated the cause.
    pub const fn vouch(cause: Cause) -> Self {
        Self(cause)
    }

    /// A person, for tests.
    #[cfg(test)]
    pub(crate) fn eva() -> Self {
        Self(Cause::Person {
            actor: ActorId::new("eva@budapest").unwrap(),
        })
    }

    /// The cause.
    pub const fn cause(&self) -> &Cause {
        &self.0
    }

    /// The person, or the one on whose behalf a peer acts.
    pub const fn actor(&self) -> Option<&ActorId> {
        self.0.actor()
    }

    /// The same peer, acting on behalf of the person that its signed assertion names; any other cause is unchanged.
    #[must_use]
    pub fn on_behalf_of(self, person: ActorId) -> Self {
        match self.0 {
            Cause::Peer { node, institution, .. } => Self(Cause::Peer {
                node,
                institution,
                actor: Some(person),
            }),
            other @ (Cause::Person { .. } | Cause::TwoPeople { .. } | Cause::OsAccount { .. } | Cause::Node { .. }) => {
                Self(other)
            }
        }
    }
}
