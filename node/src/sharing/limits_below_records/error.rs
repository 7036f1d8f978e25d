//! Errors of unlocking.

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{ActorId, CollectionName, InstitutionId};
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use crate::changes::ChangeEntryError;
use crate::iam::IamError;

/// Why queries are not unlocked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnlockError {
    /// No role of the person permits it, or the two people are not independent.
    #[error(transparent)]
    NotPermitted(#[from] IamError),
    /// The person belongs to another institution than the one that is named.
    #[error("{person} does not belong to {institution}")]
    OtherInstitution {
        /// The person.
        person: ActorId,
        /// The institution.
        institution: InstitutionId,
    },
    /// The person is not locked, or no one of the institution is.
    #[error("no queries of {} below records to `{collection}` are locked", who(institution, person.as_ref()))]
    NotLocked {
        /// The collection.
        collection: CollectionName,
        /// The institution.
        institution: InstitutionId,
        /// The person, if one was named.
        person: Option<ActorId>,
    },
    /// The caller is one of those who are locked.
    #[error("{person} cannot take part in unlocking their own queries")]
    Oneself {
        /// The person.
        person: ActorId,
    },
    /// The change could not be recorded or made.
    #[error(transparent)]
    Change(#[from] ChangeEntryError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the locks cannot be read or written")]
    State(#[from] MetaError),
}

fn who(institution: &InstitutionId, person: Option<&ActorId>) -> String {
    person.map_or_else(|| format!("people of {institution}"), ToString::to_string)
}

impl Explain for UnlockError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotPermitted(source) => source.kind(),
            Self::OtherInstitution { .. } => ErrorKind::Usage,
            Self::NotLocked { .. } => ErrorKind::NotFound,
            Self::Oneself { .. } => ErrorKind::Denied,
            Self::Change(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NotPermitted(source) => source.help(),
            Self::OtherInstitution { .. } => Some("name the institution of the person".to_owned()),
            Self::NotLocked { collection, .. } => {
                Some(format!("`concordat dataset locks {collection}` lists who is locked"))
            }
            Self::Oneself { .. } => Some("two other stewards can unlock them".to_owned()),
            Self::Change(_) | Self::Ledger(_) | Self::State(_) => None,
        }
    }
}
