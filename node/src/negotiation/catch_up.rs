//! Sends what the other side has not acknowledged: when it connects, and again and again while it is connected.

use std::collections::BTreeMap;
use std::time::Duration;

use concordat_protocol::audit::NodeTask;
use concordat_protocol::identity::Side;
use concordat_protocol::ids::{GrantId, NegotiationId, NodeId};
use concordat_protocol::negotiation::NegotiationMessage;
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::RefusalCode;
use concordat_storage::ledger::Attribution;
use tracing::Instrument;

use super::automatic::Recorded;
use super::store::Due;
use super::{NegotiationError, Negotiations, span};
use crate::attribution::by_node;
use crate::shutdown::Stage;
use concordat_network::Session;
use concordat_network::hello::Attested;

/// How often what a connected peer has not acknowledged is sent again. It may have refused it because it was busy or its disk was full;
/// and a session can outlast the restart of a peer, which then does not connect again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long a session has to last before anything is sent over it, if the one before ended soon after it began. What is sent dials the
/// peer: without this, a peer that ends each session at once would be dialed again by each of them, at no interval.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// Sessions that follow each other sooner than this do so because they end.
const SOON: Duration = Duration::from_secs(5);

/// The number of the newest session of each peer, and the uptime at which it began.
#[derive(Debug, Default)]
struct Begun(BTreeMap<NodeId, (u64, Duration)>);

impl Begun {
    /// How long to wait before anything is sent over session `number` with `peer`.
    fn delay(&mut self, peer: NodeId, number: u64, now: Duration) -> Duration {
        match self.0.insert(peer, (number, now)) {
            // The same session again, after an interval.
            Some((before, since)) if before == number => {
                self.0.insert(peer, (number, since));
                Duration::ZERO
            }
            Some((_, since)) if now.saturating_sub(since) < SOON => RECONNECT_DELAY,
            Some(_) | None => Duration::ZERO,
        }
    }
}

async fn is_cut_within(session: &Session, delay: Duration) -> bool {
    !delay.is_zero() && tokio::time::timeout(delay, session.until_cut()).await.is_ok()
}

impl Negotiations {
    /// Each time a peer connects, and at intervals while it is connected, sends it what it has not acknowledged, until `stage` stops.
    pub(super) async fn catch_up(self, stage: Stage) {
        let mut sessions = self.0.network.sessions();
        let mut retries = tokio::time::interval(self.0.retry_interval);
        let mut seen = 0;
        let mut begun = Begun::default();
        loop {
            let open_sessions = sessions.borrow_and_update().clone();
            for session in open_sessions.values().filter(|session| session.number() > seen) {
                let negotiations = self.clone();
                let session = session.clone();
                let delay = begun.delay(session.peer(), session.number(), self.0.clock.uptime());
                stage.spawn(async move {
                    if is_cut_within(&session, delay).await {
                        return;
                    }
                    if let Ok(attested) = session.until_attested().await {
                        negotiations.send_again(&session, &attested).await;
                    }
                });
            }
            seen = open_sessions
                .values()
                .map(|session| session.number())
                .max()
                .unwrap_or(seen)
                .max(seen);
            let next = async {
                tokio::select! {
                    changed = sessions.changed() => changed.map(|()| seen),
                    _ = retries.tick() => Ok(0),
                }
            };
            seen = match stage.token().run_until_cancelled(next).await {
                Some(Ok(seen)) => seen,
                Some(Err(_)) | None => return,
            };
        }
    }

    /// Sends again what the peer has not acknowledged, takes a step that was pending when this node stopped, and compares the grants with the
    /// peer before notices about them are sent.
    async fn send_again(&self, session: &Session, attested: &Attested) {
        for id in self.0.store.ids() {
            if let Some((side, waiting)) = self.0.store.waiting(&id, attested).await {
                let span = span::of(&id, &side.institution);
                self.deliver_waiting(&id, &side, waiting).instrument(span).await;
            }
        }
        self.compare_grants(session, attested).await;
        for (grant, to) in self.0.grants.with_unacknowledged().await {
            if !attested.acts_for(&to) {
                continue;
            }
            let delivery = async {
                if let Err(error) = self.notify(&grant).await {
                    tracing::warn!(%error, "a waiting notice was not acknowledged");
                }
            };
            delivery.instrument(self.span(&NegotiationId::from(grant))).await;
        }
    }

    /// Takes the step that is due in a negotiation with `side`, and sends the messages that wait, in order.
    async fn deliver_waiting(&self, id: &NegotiationId, side: &Side, waiting: Vec<Signed<NegotiationMessage>>) {
        let is_due = match self.0.store.due(id) {
            Due::Step => true,
            Due::Grant => !self.0.grants.contains(&GrantId::from(*id)),
            Due::Nothing => false,
        };
        if is_due {
            self.react(Recorded::New(*id), &by_node(NodeTask::Negotiation)).await;
        }
        for message in waiting {
            match self.deliver(side, &message).await {
                Ok(()) => {}
                Err(NegotiationError::Refused { refusal, .. }) if is_final(refusal.code) => {
                    let why = refusal.reasons.first().map_or("", |reason| &reason.text);
                    let by = by_node(NodeTask::Negotiation);
                    if let Err(error) = self.end_refused_request(id, why, &by).await {
                        tracing::warn!(%error, "a refused request was not ended");
                    }
                }
                Err(error) => tracing::debug!(%error, "a waiting message was not delivered"),
            }
        }
    }

    /// Ends a negotiation whose request, the only message so far, the other side refuses whenever it is sent.
    async fn end_refused_request(
        &self,
        id: &NegotiationId,
        why: &str,
        by: &Attribution,
    ) -> Result<(), NegotiationError> {
        let locked = self.0.store.open_entry(id).await?;
        match locked.entry().await {
            Ok(entry) if entry.is_first_request() => {
                let reason = Reason::sanitized(&format!("the provider refused the request: {why}"));
                self.end(locked, &entry, reason, (by, self.0.clock.now())).await
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends the notices about a grant that wait, in the order of their numbers, one task at a time; before them the messages of its
    /// negotiation, without which the other side does not know the grant. Fails if the newest was not acknowledged. One that is refused
    /// does not delay those after it: a later notice may end the grant.
    pub(super) async fn notify(&self, grant: &GrantId) -> Result<(), NegotiationError> {
        let _delivery = self.0.grants.delivery(grant).await?;
        let waiting = self.0.grants.unacknowledged(grant).await;
        if let Some(attested) = waiting.first().and_then(|pending| self.attested(&pending.to)) {
            let id = NegotiationId::from(*grant);
            if let Some((side, messages)) = self.0.store.waiting(&id, &attested).await {
                self.deliver_waiting(&id, &side, messages).await;
            }
        }
        let mut newest = Ok(());
        for pending in waiting {
            newest = self.send_notice(&pending).await;
            if matches!(newest, Err(NegotiationError::Unreachable { .. })) {
                break;
            }
        }
        newest
    }
}

/// Whether the same message would be refused again.
const fn is_final(code: RefusalCode) -> bool {
    match code {
        RefusalCode::Invalid | RefusalCode::NotFound => true,
        RefusalCode::Denied | RefusalCode::Busy | RefusalCode::Failed | RefusalCode::CountersignFirst => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_that_follows_soon_has_to_last() {
        let (one, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let start = Duration::from_secs(100);
        let mut begun = Begun::default();
        assert_eq!(begun.delay(one, 1, start), Duration::ZERO);
        assert_eq!(begun.delay(other, 2, start), Duration::ZERO);
        for number in 3..9 {
            assert_eq!(begun.delay(one, number, start + SOON / 2), RECONNECT_DELAY, "{number}");
        }
        // The same one at the next interval, and one after a while.
        assert_eq!(begun.delay(one, 8, start + RETRY_INTERVAL), Duration::ZERO);
        assert_eq!(begun.delay(one, 9, start + RETRY_INTERVAL), Duration::ZERO);
        assert_eq!(begun.delay(one, 10, start + RETRY_INTERVAL), RECONNECT_DELAY);
    }
}
