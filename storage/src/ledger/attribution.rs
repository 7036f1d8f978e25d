//! The proof of on whose account an entry is made.

use concordat_protocol::audit::Cause;
use concordat_protocol::ids::ActorId;

/// On whose account something is done. Every append demands one, so a service that acts for somebody has to be given theirs.
///
/// [`Attribution::vouch`] is called where the one behind it was authenticated, and nowhere else: a contract test counts its
/// callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution(Cause);

impl Attribution {
    /// The caller has authenticated whom it names.
    pub const fn vouch(cause: Cause) -> Self {
        Self(cause)
    }

    /// Somebody, for tests.
    #[cfg(test)]
    pub(crate) fn eva() -> Self {
        Self(Cause::Person {
            actor: ActorId::new("eva@budapest").unwrap(),
        })
    }

    /// Who or what it is.
    pub const fn cause(&self) -> &Cause {
        &self.0
    }

    /// The person it is, or the one in whose name a peer asks.
    pub const fn actor(&self) -> Option<&ActorId> {
        self.0.actor()
    }

    /// The same peer, asking for the person that its signed assertion names; anybody else stays who they are.
    #[must_use]
    pub fn in_the_name_of(self, person: ActorId) -> Self {
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
