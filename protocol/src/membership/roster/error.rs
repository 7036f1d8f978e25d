//! Why a roster is not believed.

use crate::ids::{Digest32, InstitutionId};
use crate::membership::charter::CharterError;
use crate::membership::key_succession::KeySuccessionError;
use crate::signed::SignatureError;
use crate::text::ConsortiumName;
use crate::time::Timestamp;

/// Why a roster is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not enough holders of the charter have signed it, or the bytes are no roster.
    #[error(
        "the roster is not signed by enough of the charter's holders; ask the coordinator for the file again and compare fingerprints"
    )]
    Signature(#[source] SignatureError),
    /// A change of the charter that it carries is not valid.
    #[error("the roster carries a change of the charter that is not valid")]
    Charter(#[source] CharterError),
    /// It names another charter than the pinned one, and no change by its holders leads there.
    #[error("the roster names another charter, of {named}; ask the coordinator which one is right")]
    OtherCharter {
        /// Fingerprints of the keys it names.
        named: String,
    },
    /// Its time has run out.
    #[error("the roster expired at {not_after}; ask the coordinator for a newer one")]
    Expired {
        /// The end of its validity.
        not_after: Timestamp,
    },
    /// It was signed in the future: one of the two clocks is wrong.
    #[error(
        "the roster is dated {issued_at}, which is in the future; set the clock of this machine or of the coordinator's"
    )]
    FutureDated {
        /// When it says that it was signed.
        issued_at: Timestamp,
    },
    /// A newer one is held already.
    #[error("roster {offered} is older than roster {held}, which is in force; nothing was changed")]
    Older {
        /// Number of the refused roster.
        offered: u64,
        /// Number of the roster in force.
        held: u64,
    },
    /// Two different rosters carry the same number: the charter key shows two histories.
    #[error(
        "two different rosters carry the number {number} (`{first}` and `{second}`); tell every member and the coordinator"
    )]
    Equivocation {
        /// The number both carry.
        number: u64,
        /// Digest of the one in force.
        first: Digest32,
        /// Digest of the other.
        second: Digest32,
    },
    /// It belongs to another consortium.
    #[error("the roster is of the consortium `{offered}`, this node belongs to `{held}`")]
    OtherConsortium {
        /// The consortium it names.
        offered: ConsortiumName,
        /// The consortium of this node.
        held: ConsortiumName,
    },
    /// Something that must be unique is there twice.
    #[error("the roster lists the {what} of `{institution}` twice; ask the coordinator to correct it")]
    Duplicate {
        /// What is there twice.
        what: &'static str,
        /// At whose place it was seen again.
        institution: InstitutionId,
    },
    /// A member's own statement is not signed by its key.
    #[error(
        "the roster says of `{institution}` what it has not signed; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    Statement {
        /// The member.
        institution: InstitutionId,
        /// What is wrong with the signature.
        #[source]
        source: SignatureError,
    },
    /// The roster says something else of a member than the member itself.
    #[error(
        "the roster gives `{institution}` another {what} than it states under its own key; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    NotStated {
        /// The member.
        institution: InstitutionId,
        /// What differs.
        what: &'static str,
    },
    /// A member's keys do not lead to its present one.
    #[error(
        "the roster gives `{institution}` a key that its earlier one has not signed for; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    Keys {
        /// The member.
        institution: InstitutionId,
        /// What is wrong.
        #[source]
        source: KeySuccessionError,
    },
    /// A member's key was exchanged.
    #[error(
        "the roster gives `{institution}` the key {offered} in place of {held}; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    KeyChanged {
        /// The member.
        institution: InstitutionId,
        /// Fingerprint of the key known so far.
        held: String,
        /// Fingerprint of the other key.
        offered: String,
    },
    /// A member's statement was put back to an older one.
    #[error(
        "the roster puts the nodes and addresses of `{institution}` back from those of {held} to those of {offered}; nothing was changed"
    )]
    OldStatement {
        /// The member.
        institution: InstitutionId,
        /// When it made the statement that is known.
        held: Timestamp,
        /// When it made the one on the roster.
        offered: Timestamp,
    },
    /// A member is not listed any more, so that its id or key could be given to somebody else.
    #[error("the roster no longer lists `{institution}`, not even as removed; nothing was changed")]
    Dropped {
        /// The member.
        institution: InstitutionId,
    },
    /// A member that was removed is back without having applied again.
    #[error("the roster brings `{institution}` back, which was removed and has not applied again; nothing was changed")]
    Revived {
        /// The member.
        institution: InstitutionId,
    },
    /// A member is said to have been admitted by a roster that did not.
    #[error("the roster says of `{institution}` that it was admitted when it was not; nothing was changed")]
    Backdated {
        /// The member.
        institution: InstitutionId,
    },
    /// No members, or the number zero.
    #[error("the roster has no members or no number")]
    Empty,
    /// A list is longer than allowed.
    #[error("the roster has {found} {what}, more than {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
}

impl RosterError {
    /// Whether the charter key was used to say something that it may not: everybody should hear of it.
    pub const fn is_abuse(&self) -> bool {
        match self {
            Self::Equivocation { .. }
            | Self::Statement { .. }
            | Self::NotStated { .. }
            | Self::Keys { .. }
            | Self::KeyChanged { .. }
            | Self::OldStatement { .. }
            | Self::Dropped { .. }
            | Self::Revived { .. }
            | Self::Backdated { .. } => true,
            Self::Signature(_)
            | Self::Charter(_)
            | Self::OtherCharter { .. }
            | Self::Expired { .. }
            | Self::FutureDated { .. }
            | Self::Older { .. }
            | Self::OtherConsortium { .. }
            | Self::Duplicate { .. }
            | Self::Empty
            | Self::TooMany { .. } => false,
        }
    }
}
