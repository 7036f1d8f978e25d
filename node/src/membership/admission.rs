//! How a coordinator changes who belongs to the consortium: it admits an applicant, or removes a member.

use std::net::IpAddr;

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{ValidEnrollment, admit, from_file, remove, replace_key};
use concordat_storage::ledger::Attribution;

use super::error::MembershipError;
use super::handle::Membership;
use super::holders::{Issued, ROSTER_VALIDITY};

/// What an administrator has approved for the admission of an applicant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Hosts of the applicant that this node dials from now on although they are not in a configured range.
    pub allow_hosts: Vec<IpAddr>,
    /// Whether the applicant is a member that has lost its key, and whose new key was verified with it.
    pub replace_key: bool,
}

impl Membership {
    /// Admits the applicant in `file` and signs the next roster. Returns the outcome with the applicant's id and key fingerprint, which are
    /// to be compared by telephone.
    ///
    /// # Errors
    /// [`MembershipError`] when the file is not a valid application, names an address that this node does not dial, or this
    /// institution is not the coordinator.
    pub async fn admit(
        &self,
        file: &[u8],
        by: &Attribution,
    ) -> Result<(Issued, InstitutionId, String), MembershipError> {
        self.admit_with(file, &Admission::default(), by).await
    }

    /// As [`Membership::admit`], with what an administrator has approved.
    ///
    /// # Errors
    /// As for [`Membership::admit`].
    pub async fn admit_with(
        &self,
        file: &[u8],
        admission: &Admission,
        by: &Attribution,
    ) -> Result<(Issued, InstitutionId, String), MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let applicant = ValidEnrollment::check(from_file(file)?, now)?;
        let enrollment = applicant.enrollment();
        let institution = enrollment.institution.clone();
        let fingerprint = enrollment.key.fingerprint();
        // Everything that can refuse the applicant comes before the entry that its hosts are allowed.
        let current = self.roster_to_change()?;
        let change = if admission.replace_key { replace_key } else { admit };
        let next = change(current.roster(), &applicant, now, ROSTER_VALIDITY)?;
        let checked = self.check_to_issue(&next, now)?;
        let hosts = self.hosts_to_allow(enrollment, &admission.allow_hosts)?;
        self.allow_hosts(institution.clone(), hosts, by).await?;
        let issued = self.issue(checked, by, now).await?;
        Ok((issued, institution, fingerprint))
    }

    /// Removes a member and signs the next roster; once it takes effect, the member's connections are closed.
    ///
    /// # Errors
    /// [`MembershipError`] when there is no such member or this institution is not the coordinator.
    pub async fn remove(&self, institution: &InstitutionId, by: &Attribution) -> Result<Issued, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let current = self.roster_to_change()?;
        let next = remove(current.roster(), institution, now, ROSTER_VALIDITY)?;
        self.issue(self.check_to_issue(&next, now)?, by, now).await
    }
}
