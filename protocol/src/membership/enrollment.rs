//! Applications to join.

use serde::{Deserialize, Serialize};

use super::key_succession::{KeySuccession, KeySuccessionError};
use super::member_node::{MAX_ADDRESSES, MAX_NODES, MemberNode};
use crate::identity::InstitutionPublicKey;
use crate::ids::{InstitutionId, Jurisdiction};
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, SignatureError, Signed, Verified};
use crate::text::LegalName;
use crate::time::{Staleness, Timestamp};

/// How old an application may be when it is admitted: 30 days, the usual time between two board meetings.
pub const MAX_ENROLLMENT_AGE_MS: i64 = 30 * 24 * 3600 * 1000;

/// An application to join, signed with the key that the roster is to pin. The roster contains it as the member's own
/// statement of its identity and its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrollment {
    /// The requested short id.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// Country whose law applies to it.
    pub jurisdiction: Jurisdiction,
    /// Its institution key.
    pub key: InstitutionPublicKey,
    /// All of its nodes, at most [`MAX_NODES`], and where they can be reached. A later statement replaces the list.
    pub nodes: Vec<MemberNode>,
    /// When it was signed; increases from one statement of an institution to the next.
    pub issued_at: Timestamp,
    /// The statement of the previous key, if [`Enrollment::key`] follows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<Signed<KeySuccession>>,
}

impl Document for Enrollment {
    const LABEL: DomainLabel = labels::ENROLLMENT;
}

/// An application whose sender holds the key it names. People have to verify that the key belongs to the institution, by
/// comparing fingerprints:
/// [`InstitutionPublicKey::fingerprint`].
#[derive(Clone, Debug)]
pub struct ValidEnrollment {
    verified: Verified<Enrollment, InstitutionPublicKey>,
}

impl ValidEnrollment {
    /// Checks the signature by the key that the application names, its age and its bounds.
    ///
    /// # Errors
    /// [`EnrollmentError`] names the check that fails.
    pub fn check(signed: Signed<Enrollment>, now: Timestamp) -> Result<Self, EnrollmentError> {
        let claimed = signed.peek_unverified().map_err(EnrollmentError::Signature)?.key;
        let verified = signed.verify(claimed).map_err(EnrollmentError::Signature)?;
        let enrollment = verified.document();
        enrollment
            .issued_at
            .fresh_at(now, MAX_ENROLLMENT_AGE_MS)
            .map_err(EnrollmentError::Stale)?;
        let found = enrollment.nodes.len();
        if found == 0 || found > MAX_NODES {
            return Err(EnrollmentError::WrongNumberOfNodes { found });
        }
        let longest = enrollment.nodes.iter().map(|node| node.addresses.len()).max();
        if let Some(found) = longest.filter(|found| *found > MAX_ADDRESSES) {
            return Err(EnrollmentError::TooManyAddresses { found });
        }
        if let Some(succession) = &enrollment.succeeds {
            let succession = succession.clone().of(&enrollment.institution)?;
            if succession.document().to != enrollment.key {
                return Err(KeySuccessionError::Broken.into());
            }
        }
        Ok(Self { verified })
    }

    /// The application.
    pub fn enrollment(&self) -> &Enrollment {
        self.verified.document()
    }

    /// The key that the application's key follows, by the statement of that key.
    pub fn follows(&self) -> Option<InstitutionPublicKey> {
        let succession = self.enrollment().succeeds.as_ref()?;
        succession.peek_unverified().ok().map(|succession| succession.from)
    }

    /// The signed application.
    pub fn signed(&self) -> &Signed<Enrollment> {
        self.verified.signed()
    }
}

/// Why an application is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrollmentError {
    /// Not signed by the key that it names.
    #[error(
        "the enrollment is not signed by the key it names; ask the applicant to run `concordat consortium enrol` again"
    )]
    Signature(#[source] SignatureError),
    /// Too old or from the future.
    #[error("the enrollment is not fresh; ask the applicant to run `concordat consortium enrol` again")]
    Stale(#[source] Staleness),
    /// No nodes, or more than a member may have.
    #[error("the enrollment lists {found} nodes; between 1 and {MAX_NODES} are allowed")]
    WrongNumberOfNodes {
        /// How many there are.
        found: usize,
    },
    /// The statement of the previous key does not lead to the application's key.
    #[error("the enrollment contains an invalid statement about an earlier key")]
    Succession(#[from] KeySuccessionError),
    /// More addresses than a node may have.
    #[error("the enrollment lists {found} addresses of one node, more than {MAX_ADDRESSES}")]
    TooManyAddresses {
        /// How many there are.
        found: usize,
    },
}
