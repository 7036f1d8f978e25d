//! Applications to join.

use serde::{Deserialize, Serialize};

use super::key_succession::{KeySuccession, KeySuccessionError};
use super::member_node::{MAX_ADDRESSES, MAX_NODES, MemberNode};
use crate::identity::InstitutionPublicKey;
use crate::ids::{InstitutionId, Jurisdiction};
use crate::labels::{self, Label};
use crate::signed::{Document, SignatureError, Signed, Verified};
use crate::text::LegalName;
use crate::time::{Staleness, Timestamp};

/// How old an application may be when it is admitted: 30 days, the time a board takes between two meetings.
pub const MAX_ENROLMENT_AGE_MS: i64 = 30 * 24 * 3600 * 1000;

/// An application to join, signed with the key that it asks to have pinned. The roster carries it on, as the member's own statement
/// of who it is and which nodes are its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The short id it wants.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// Whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// Its institution key.
    pub key: InstitutionPublicKey,
    /// All of its nodes, at most [`MAX_NODES`], and where they can be reached. A later statement replaces the list.
    pub nodes: Vec<MemberNode>,
    /// When it was signed; counts up from one statement of an institution to the next.
    pub issued_at: Timestamp,
    /// The statement of the key before, if [`Enrolment::key`] follows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<Signed<KeySuccession>>,
}

impl Document for Enrolment {
    const LABEL: Label = labels::ENROLMENT;
}

/// An application whose sender holds the key it names. Whether that key is the institution's own is for people to compare:
/// [`InstitutionPublicKey::fingerprint`].
#[derive(Clone, Debug)]
pub struct ValidEnrolment {
    verified: Verified<Enrolment, InstitutionPublicKey>,
}

impl ValidEnrolment {
    /// Checks the signature by the key that the application names, its age and its bounds.
    ///
    /// # Errors
    /// [`EnrolmentError`] says which of these fails.
    pub fn check(signed: Signed<Enrolment>, now: Timestamp) -> Result<Self, EnrolmentError> {
        let claimed = signed.peek_unverified().map_err(EnrolmentError::Signature)?.key;
        let verified = signed.verify(claimed).map_err(EnrolmentError::Signature)?;
        let enrolment = verified.document();
        enrolment
            .issued_at
            .fresh_at(now, MAX_ENROLMENT_AGE_MS)
            .map_err(EnrolmentError::Stale)?;
        let found = enrolment.nodes.len();
        if found == 0 || found > MAX_NODES {
            return Err(EnrolmentError::WrongNumberOfNodes { found });
        }
        let longest = enrolment.nodes.iter().map(|node| node.addresses.len()).max();
        if let Some(found) = longest.filter(|found| *found > MAX_ADDRESSES) {
            return Err(EnrolmentError::TooManyAddresses { found });
        }
        if let Some(succession) = &enrolment.succeeds {
            let succession = succession.clone().of(&enrolment.institution)?;
            if succession.document().to != enrolment.key {
                return Err(KeySuccessionError::Broken.into());
            }
        }
        Ok(Self { verified })
    }

    /// The application.
    pub fn enrolment(&self) -> &Enrolment {
        self.verified.document()
    }

    /// The key that the application's key follows, by the statement of that key.
    pub fn follows(&self) -> Option<InstitutionPublicKey> {
        let succession = self.enrolment().succeeds.as_ref()?;
        succession.peek_unverified().ok().map(|succession| succession.from)
    }

    /// The application as it was signed.
    pub fn signed(&self) -> &Signed<Enrolment> {
        self.verified.signed()
    }
}

/// Why an application is not accepted as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// Not signed by the key that it names.
    #[error(
        "the enrolment is not signed by the key it names; ask the applicant to run `concordat consortium enrol` again"
    )]
    Signature(#[source] SignatureError),
    /// Too old or from the future.
    #[error("the enrolment is not fresh; ask the applicant to run `concordat consortium enrol` again")]
    Stale(#[source] Staleness),
    /// No nodes, or more than a member may have.
    #[error("the enrolment lists {found} nodes; 1 to {MAX_NODES} are possible")]
    WrongNumberOfNodes {
        /// How many there are.
        found: usize,
    },
    /// The statement of the key before does not lead to the application's key.
    #[error("the enrolment carries a statement about an earlier key that is not valid")]
    Succession(#[from] KeySuccessionError),
    /// More addresses than a node may have.
    #[error("the enrolment lists {found} addresses of one node, more than {MAX_ADDRESSES}")]
    TooManyAddresses {
        /// How many there are.
        found: usize,
    },
}
