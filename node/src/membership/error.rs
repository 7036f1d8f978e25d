//! Errors of the roster and of membership.

use std::collections::BTreeSet;

use concordat_keys::IdentityError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::membership::{ArmorError, ChangeError, CharterError, EnrollmentError, RosterError};
use concordat_protocol::signed::SignatureError;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use super::not_dialed::NotDialed;
use crate::bound_state::BoundStateError;
use crate::changes::ChangeEntryError;
use concordat_network::{DialRefused, NetworkError};

/// Why the roster was not changed or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The node has not joined a consortium.
    #[error(
        "this node does not belong to a consortium; found one with `concordat consortium found` or join one with `concordat consortium join ROSTER`"
    )]
    NoConsortium,
    /// The node belongs to a consortium.
    #[error("this node belongs to a consortium already")]
    AlreadyMember,
    /// Only holders of the charter sign rosters.
    #[error("only an institution that holds a key of the charter can change the roster; send it the file instead")]
    NotCoordinator,
    /// The roster does not list this node.
    #[error(
        "the roster does not list `{institution}` with this node's keys; send the coordinator the output of `concordat consortium enrol`"
    )]
    NotListed {
        /// This institution.
        institution: InstitutionId,
    },
    /// The key of a holder of the charter cannot be replaced.
    #[error(
        "this institution holds a key of the charter, so its key cannot be replaced; transfer the charter to others first with `concordat consortium charter set`"
    )]
    HolderKey,
    /// There is no unconfirmed key.
    #[error(
        "there is no unconfirmed key of `{institution}` with this fingerprint; `concordat doctor` lists the unconfirmed keys"
    )]
    NotReplaced {
        /// The member.
        institution: InstitutionId,
    },
    /// A private key could not be read or written.
    #[error("the institution's key could not be read or written")]
    Identity(#[from] IdentityError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
    /// A holder of the charter must be an active member.
    #[error("`{institution}` is not an active member and cannot hold a key of the charter")]
    NoHolder {
        /// The institution.
        institution: InstitutionId,
    },
    /// The charter is not valid.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// There is no address that others can reach.
    #[error("this node does not listen on any address that can be announced; set `node.announce` in `concordat.toml`")]
    NoAddress,
    /// The document is not the one that was reviewed.
    #[error("the file contains the document {digest}, not the one that was reviewed; nothing was signed")]
    NotReviewed {
        /// Digest of the one in the file.
        digest: Digest32,
    },
    /// The document changes something that no review describes.
    #[error(
        "the document changes {what}, which a review cannot describe, so it is not signed here; ask its sender how it was made"
    )]
    NotDescribed {
        /// What it changes.
        what: String,
    },
    /// The roster admits a member again that was not removed.
    #[error(
        "the roster admits `{institution}` again, which would suspend its grants, but the roster of this node does not show it as removed; if it was removed, import the roster that removed it first, and otherwise do not sign this one"
    )]
    NotRemoved {
        /// The member.
        institution: InstitutionId,
    },
    /// The applicant states addresses that this node does not dial.
    #[error("the application names addresses that this node does not dial: {}", list(.addresses))]
    NotDialed {
        /// Each with the reason.
        addresses: Vec<NotDialed>,
    },
    /// More hosts are to be allowed at once than a ledger entry can name.
    #[error("at most {max} hosts can be allowed for one applicant")]
    TooManyHosts {
        /// The maximum number.
        max: usize,
    },
    /// A roster that was received is not acceptable.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The stored roster is not valid, or no longer.
    #[error(transparent)]
    StoredRoster(RosterError),
    /// Every member would refuse the roster that a change makes.
    #[error(transparent)]
    NotIssued(RosterError),
    /// The application is not acceptable.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The change is not possible.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The file does not have the expected format.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// A document that was received is malformed, or not signed as required.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A document of this node cannot be signed, or is not what was stored.
    #[error(transparent)]
    OwnDocument(SignatureError),
    /// The ledger could not record it.
    #[error("the ledger could not record the change, so it was not made")]
    Ledger(#[from] LedgerError),
    /// The state could not be read or written.
    #[error("the consortium's state could not be read or written")]
    Meta(#[from] MetaError),
    /// The network has stopped.
    #[error("the network did not apply the roster")]
    Network(#[from] NetworkError),
    /// The roster could not be bound into the sealed state.
    #[error("the roster was not accepted")]
    Sealed(#[from] BoundStateError),
    /// This node is a copy, or an older copy, of itself, and no one has acknowledged that.
    #[error(
        "this node is a copy, or an older copy, of a node that peers know, so it neither serves nor sends requests; `concordat status` shows \
         what was seen and what to do"
    )]
    OwnCopy,
    /// The change was not recorded.
    #[error("the change was not made")]
    NotEntered(#[from] ChangeEntryError),
    /// A blocking task was canceled.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl MembershipError {
    pub(super) fn not_described(what: impl Into<String>) -> Self {
        Self::NotDescribed { what: what.into() }
    }
}

impl Explain for MembershipError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoConsortium
            | Self::AlreadyMember
            | Self::NotListed { .. }
            | Self::NoAddress
            | Self::NotReviewed { .. }
            | Self::NotDialed { .. }
            | Self::TooManyHosts { .. }
            | Self::NoHolder { .. }
            | Self::HolderKey
            | Self::NotReplaced { .. }
            | Self::NotIssued(_)
            | Self::Charter(_)
            | Self::Armor(_)
            | Self::Enrollment(EnrollmentError::WrongNumberOfNodes { .. } | EnrollmentError::TooManyAddresses { .. })
            | Self::Change(_) => ErrorKind::Usage,
            Self::NotCoordinator => ErrorKind::Denied,
            Self::Roster(_)
            | Self::Signature(_)
            | Self::Enrollment(
                EnrollmentError::Signature(_) | EnrollmentError::Stale(_) | EnrollmentError::Succession(_),
            )
            | Self::NotDescribed { .. }
            | Self::NotRemoved { .. } => ErrorKind::Unverified,
            Self::StoredRoster(_) | Self::OwnDocument(_) | Self::OwnCopy => ErrorKind::Integrity,
            Self::Identity(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Meta(source) => source.kind(),
            Self::Sealed(source) => source.kind(),
            Self::NotEntered(ChangeEntryError::State(source)) => source.kind(),
            Self::NotEntered(ChangeEntryError::Ledger(source)) => source.kind(),
            Self::NotEntered(_) | Self::Network(_) | Self::Stopping(_) | Self::Random(_) => ErrorKind::Internal,
        }
    }

    fn help(&self) -> Option<String> {
        let Self::NotDialed { addresses } = self else {
            return None;
        };
        let hosts: BTreeSet<String> = addresses
            .iter()
            .filter_map(|found| match found.reason {
                DialRefused::Range { ip, .. } => Some(format!("--allow-host {ip}")),
                DialRefused::Form | DialRefused::Name | DialRefused::Never { .. } => None,
            })
            .collect();
        let rest = "; otherwise ask the applicant for an address that others can reach (`concordat consortium enrol`)";
        (!hosts.is_empty()).then(|| {
            let hosts: Vec<String> = hosts.into_iter().collect();
            format!(
                "if these are hosts of the applicant, admit it with `{}`{rest}",
                hosts.join(" ")
            )
        })
    }
}

fn list(addresses: &[NotDialed]) -> String {
    let each: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sender is responsible for a defect of a file, and this node for the same defect of what it has stored.
    #[test]
    fn kind_of_a_defect_depends_on_whose_document_it_is() {
        let defect = || SignatureError::WrongSignature;
        let roster = || RosterError::Signature(defect());
        let enrollment = MembershipError::from(EnrollmentError::Signature(defect()));
        for given in [defect().into(), roster().into(), enrollment] {
            let given: MembershipError = given;
            assert_eq!(given.kind(), ErrorKind::Unverified, "{given}");
        }
        for own in [
            MembershipError::OwnDocument(defect()),
            MembershipError::StoredRoster(roster()),
        ] {
            assert_eq!(own.kind(), ErrorKind::Integrity, "{own}");
        }
    }
}
