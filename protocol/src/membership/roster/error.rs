//! Why a roster is not accepted.

use crate::ids::{Digest32, InstitutionId};
use crate::membership::charter::CharterError;
use crate::membership::key_succession::KeySuccessionError;
use crate::signed::SignatureError;
use crate::text::ConsortiumName;
use crate::time::Timestamp;

/// Why a roster is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not enough holders of the charter have signed it, or the bytes are not a roster.
    #[error(
        "the roster is not signed by enough of the charter's holders; ask the coordinator for the file again and compare fingerprints"
    )]
    Signature(#[source] SignatureError),
    /// A change of the charter in it is invalid.
    #[error("the roster contains an invalid change of the charter")]
    Charter(#[source] CharterError),
    /// It names another charter than the pinned one, and no change by its holders leads to that one.
    #[error("the roster names another charter, of {named}; ask the coordinator which one is right")]
    OtherCharter {
        /// Fingerprints of the keys it names.
        named: String,
    },
    /// It lists other changes of the charter than those that are known: former holders continue from an earlier charter.
    #[error(
        "the roster lists other changes of the charter than the current one; nothing was changed: inform every member and the coordinator"
    )]
    OtherHistory,
    /// It has expired.
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
        /// When it was signed, by its own statement.
        issued_at: Timestamp,
    },
    /// The node already has a newer one.
    #[error("roster {offered} is older than the current roster {held}; nothing was changed")]
    Older {
        /// Number of the refused roster.
        offered: u64,
        /// Number of the current roster.
        held: u64,
    },
    /// Two different rosters carry the same number: the charter key shows two histories.
    #[error(
        "two different rosters carry the number {number} (`{first}` and `{second}`); inform every member and the coordinator"
    )]
    Equivocation {
        /// The number both carry.
        number: u64,
        /// Digest of the current one.
        first: Digest32,
        /// Digest of the other.
        second: Digest32,
    },
    /// It belongs to another consortium.
    #[error("the roster belongs to the consortium `{offered}`, this node belongs to `{held}`")]
    OtherConsortium {
        /// The consortium it names.
        offered: ConsortiumName,
        /// The consortium of this node.
        held: ConsortiumName,
    },
    /// Something that must be unique occurs twice.
    #[error("the roster lists the {what} of `{institution}` twice; ask the coordinator to correct it")]
    Duplicate {
        /// What occurs twice.
        what: &'static str,
        /// The member at which it occurs again.
        institution: InstitutionId,
    },
    /// A member's own statement is not signed by its key.
    #[error(
        "the roster states about `{institution}` what that institution has not signed; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    Statement {
        /// The member.
        institution: InstitutionId,
        /// What is wrong with the signature.
        #[source]
        source: SignatureError,
    },
    /// The roster states something else about a member than the member itself.
    #[error(
        "the roster gives `{institution}` another {what} than it states under its own key; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    NotStated {
        /// The member.
        institution: InstitutionId,
        /// What differs.
        what: &'static str,
    },
    /// A member's keys do not lead to its current one.
    #[error(
        "the roster gives `{institution}` a key for which its earlier key has not signed; nothing was changed: ask `{institution}` and the coordinator by telephone"
    )]
    Keys {
        /// The member.
        institution: InstitutionId,
        /// What is wrong.
        #[source]
        source: KeySuccessionError,
    },
    /// A member's key was replaced without proof.
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
    /// A member's statement was reverted to an older one.
    #[error(
        "the roster reverts the nodes and addresses of `{institution}` from those of {held} to those of {offered}; nothing was changed"
    )]
    OldStatement {
        /// The member.
        institution: InstitutionId,
        /// When it made the statement that is known.
        held: Timestamp,
        /// When it made the one on the roster.
        offered: Timestamp,
    },
    /// A member is not listed any more, so that its id or key could be assigned to another institution.
    #[error("the roster no longer lists `{institution}`, not even as removed; nothing was changed")]
    Dropped {
        /// The member.
        institution: InstitutionId,
    },
    /// A removed member is listed as a member again without having applied again.
    #[error("the roster reinstates `{institution}`, which was removed and has not applied again; nothing was changed")]
    Revived {
        /// The member.
        institution: InstitutionId,
    },
    /// The roster claims that a member was admitted by a roster that did not admit it.
    #[error(
        "the roster claims that `{institution}` was admitted by a roster that did not admit it; nothing was changed"
    )]
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
        /// What there are too many of.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The maximum.
        max: usize,
    },
}

impl RosterError {
    /// Whether the charter key was abused, to state something that only a member itself may state: all members must be informed.
    pub const fn is_abuse(&self) -> bool {
        match self {
            Self::Equivocation { .. }
            | Self::OtherHistory
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
