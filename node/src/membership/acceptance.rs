//! How a roster takes effect at this node.
//!
//! 1. It is checked against the pinned charter and the known roster; one with which the charter key was misused is recorded.
//! 2. It is durable in the sealed state and in the ledger.
//! 3. It is applied: this institution's next key is used if the roster names it, hosts of removed members are no longer dialed, the
//!    gate admits the members, sessions without a basis end, and running answers are evaluated again.

use std::sync::Arc;

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::membership::{PinnedCharter, Roster, RosterError, ValidRoster};
use concordat_protocol::signed::CoSigned;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;

use super::error::MembershipError;
use super::handle::Membership;
use super::refused::RefusedRoster;
use super::sealed::SealedRoster;
use crate::attribution::by_node;
use concordat_network::Members;

impl Membership {
    /// Accepts a newer roster from a peer or a file.
    ///
    /// # Errors
    /// [`MembershipError`] when it is not signed by the pinned charter key, older, expired, or contradicts the known one.
    pub async fn import(
        &self,
        signed: CoSigned<Roster>,
        by: &Attribution,
    ) -> Result<Arc<ValidRoster>, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let pinned = self.pinned_charter()?.ok_or(MembershipError::NoConsortium)?;
        self.accept_roster(signed, &pinned, by).await
    }

    /// Checks a roster, records it, then applies it. Recording comes first: a node that stops in between applies it at the next start.
    pub(super) async fn accept_roster(
        &self,
        signed: CoSigned<Roster>,
        pinned: &PinnedCharter,
        by: &Attribution,
    ) -> Result<Arc<ValidRoster>, MembershipError> {
        let now = self.0.clock.now();
        let known = self.newest();
        let roster = match ValidRoster::check(signed.clone(), pinned, known.as_deref(), now) {
            Ok(roster) => Arc::new(roster),
            Err(error) => {
                self.note_refused_roster(&signed, &error, by, now).await;
                return Err(error.into());
            }
        };
        if known.is_some_and(|known| known.digest() == roster.digest()) {
            return Ok(roster);
        }
        let entry = EntryBody::RosterAccepted {
            number: roster.number(),
            digest: roster.digest(),
        };
        let value = SealedRoster {
            number: roster.number(),
            signed: roster.signed().clone(),
        };
        let inner = self.0.clone();
        let attribution = by.clone();
        tokio::task::spawn_blocking(move || inner.sealed.adopt(value, &inner.ledger, entry, &attribution, now))
            .await??;
        // After the roster: from the old pin the new charter can be verified, but not the other way round.
        let next = roster.roster().pinned_charter()?;
        if next != *pinned {
            self.pin(next).await?;
        }
        self.apply(roster.clone(), by).await?;
        Ok(roster)
    }

    /// Records a roster with which the charter key was misused, and shows it until a newer one is accepted.
    async fn note_refused_roster(
        &self,
        signed: &CoSigned<Roster>,
        error: &RosterError,
        by: &Attribution,
        now: Timestamp,
    ) {
        let (Ok(digest), Ok(roster)) = (signed.payload_digest(), signed.peek_unverified()) else {
            return;
        };
        if !error.is_abuse() {
            return;
        }
        let number = roster.number;
        let reason = Reason::sanitized(&error.to_string());
        let due = self.0.refused_rosters.note(digest, by, &reason, now);
        self.enter_refusals(due.before).await;
        if !due.roster {
            return;
        }
        tracing::warn!(number, %error, "a roster signed by the charter key was rejected");
        self.0.refused_rosters.show(RefusedRoster {
            number,
            digest,
            reason: error.to_string(),
            at: now,
        });
        let refusal = EntryBody::RosterRefused { number, digest, reason };
        if let Err(error) = self.0.ledger.append_async(refusal, by, now).await {
            tracing::error!(%error, "the refusal of a roster could not be written to the ledger");
        }
    }

    /// Applies the roster that was current when the node stopped.
    pub(super) async fn reload(&self, pinned: PinnedCharter) -> Result<(), MembershipError> {
        let Some(SealedRoster { signed, .. }) = self.0.sealed.current()? else {
            // The node stopped between the pin and the roster: it has to join again.
            return Ok(());
        };
        // An expired roster is checked as of the time it was issued: its members' keys are still needed to accept the next one.
        let stored = signed.peek_unverified().map_err(MembershipError::OwnDocument)?;
        let roster = ValidRoster::check(signed, &pinned, None, stored.issued_at);
        let roster = Arc::new(roster.map_err(MembershipError::StoredRoster)?);
        let current = roster.roster().pinned_charter();
        let current = current.map_err(MembershipError::OwnDocument)?;
        if current != pinned {
            // The node stopped between the roster and the pin.
            self.pin(current).await?;
        }
        if let Err(expired) = roster.check_validity(self.0.clock.now()) {
            tracing::warn!(%expired, "nothing is served until a newer roster arrives");
        }
        self.apply(roster, &by_node(NodeTask::Start)).await
    }

    async fn apply(&self, roster: Arc<ValidRoster>, by: &Attribution) -> Result<(), MembershipError> {
        self.follow_own_key(&roster, by).await?;
        self.drop_hosts_of_removed(roster.clone()).await?;
        self.drop_addresses_of_others(roster.clone()).await?;
        self.0.network.set_members(Arc::new(self.peers(&roster))).await?;
        let number = roster.number();
        self.warn_of_addresses(&roster);
        self.0.roster.send_replace(Some(roster));
        self.0.refused_rosters.forget_until(number);
        self.end_sessions().await?;
        self.0.epoch.raise();
        Ok(())
    }

    /// The other nodes of active members, with their present addresses.
    pub(super) fn peers(&self, roster: &ValidRoster) -> Members {
        let ours = self.0.identity.node();
        let nodes = roster
            .active_members()
            .flat_map(|member| member.nodes.iter().map(move |node| (node, member)));
        nodes
            .filter(|(node, _)| node.node != ours)
            .map(|(node, member)| {
                let addresses = self.addresses_of(member, node);
                let addresses = addresses.iter().filter_map(|a| a.as_str().parse().ok());
                (node.node, member.institution.clone(), addresses.collect())
            })
            .collect()
    }
}
