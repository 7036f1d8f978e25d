//! How this node becomes part of a consortium: it founds one, or joins one with a roster that lists it.

use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::membership::{Roster, ValidEnrollment, ValidRoster, from_file};
use concordat_protocol::signed::CoSigned;
use concordat_protocol::text::ConsortiumName;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::error::MembershipError;
use super::handle::Membership;
use super::holders::ROSTER_VALIDITY;

impl Membership {
    /// Founds a consortium with this institution as its only member and coordinator.
    ///
    /// # Errors
    /// [`MembershipError::AlreadyMember`] when the node belongs to one.
    pub async fn found(&self, name: ConsortiumName, by: &Attribution) -> Result<Arc<ValidRoster>, MembershipError> {
        let _changing = self.0.changing.lock().await;
        if self.newest().is_some() {
            return Err(MembershipError::AlreadyMember);
        }
        let now = self.0.clock.now();
        let founder = ValidEnrollment::check(self.statement(None)?, now)?;
        let roster = Roster::found(name, &founder, now, after(now, ROSTER_VALIDITY));
        let pinned = roster.pinned_charter().map_err(MembershipError::OwnDocument)?;
        self.pin(pinned.clone()).await?;
        let signed = self.sign_own(&roster)?;
        self.accept_roster(signed, &pinned, by).await
    }

    /// Joins the consortium whose roster is in `file`: pins its charter and accepts the roster.
    ///
    /// # Errors
    /// [`MembershipError`] when the node belongs to a different one, or the roster does not list this node with its keys.
    pub async fn join(&self, file: &[u8], by: &Attribution) -> Result<Arc<ValidRoster>, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let signed: CoSigned<Roster> = from_file(file)?;
        let pinned = match self.pinned_charter()? {
            Some(pinned) => pinned,
            None => signed.peek_unverified()?.pinned_charter()?,
        };
        let checked = ValidRoster::check(signed.clone(), &pinned, None, self.0.clock.now())?;
        self.check_listed(&checked)?;
        self.pin(pinned.clone()).await?;
        self.accept_roster(signed, &pinned, by).await
    }

    fn check_listed(&self, roster: &ValidRoster) -> Result<(), MembershipError> {
        let identity = &self.0.identity;
        let listed = roster.active_node(&identity.node()).is_some_and(|member| {
            member.institution == identity.institution && member.key == identity.institution_public()
        });
        if listed {
            Ok(())
        } else {
            Err(MembershipError::NotListed {
                institution: identity.institution.clone(),
            })
        }
    }
}

fn after(now: Timestamp, validity: Duration) -> Timestamp {
    now.plus_seconds(i64::try_from(validity.as_secs()).unwrap_or(i64::MAX))
}
