//! Queries that are refused before a decision about them is recorded: entered in the ledger, in limited number ([`crate::refusals`]).

use concordat_protocol::audit::EntryBody;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::Refusal;

use super::handle::Sharing;
use super::outcome::first_text;
use super::requester::Requester;
use crate::attribution::by_peer;
use crate::refusals::Due;
use crate::shutdown::Stage;
use concordat_network::Session;

impl Sharing {
    /// Enters that a query was refused before the policy was evaluated.
    pub(super) async fn refused_early(&self, session: &Session, refusal: &Refusal) {
        let reason = Reason::sanitized(first_text(refusal));
        let now = self.0.parts.clock.now();
        self.enter_refusals(self.0.early.note(session.peer(), by_peer(session), reason, now))
            .await;
    }

    /// Enters that a query of one of our own people was refused although no decision about it is recorded: while it was planned, or before it
    /// could be decided. `subject` is what was queried.
    ///
    /// The entry is about what was refused, so it is made for a person, too, who may act no longer.
    pub async fn refused_own(&self, requester: &Requester, subject: &str, refusal: &Refusal) {
        let reason = Reason::sanitized(&format!("{subject}: {}", first_text(refusal)));
        let now = self.0.parts.clock.now();
        let person = requester.actor().id().clone();
        let due = self.0.early_own.note(person, requester.by().for_outcome(), reason, now);
        self.enter_refusals(due).await;
    }

    /// Enters the counted refusals once their minute is over, until `stage` stops; then the remaining ones.
    pub(super) async fn enter_counted_refusals(self, stage: Stage) {
        let now = || self.0.parts.clock.now();
        let of_peers = self.0.early.enter_counted(&stage, now, |due| self.enter_refusals(due));
        let of_own_people = self
            .0
            .early_own
            .enter_counted(&stage, now, |due| self.enter_refusals(due));
        tokio::join!(of_peers, of_own_people);
    }

    async fn enter_refusals<K>(&self, due: Vec<Due<K>>) {
        let parts = &self.0.parts;
        for Due { count, reason, by, .. } in due {
            let body = EntryBody::QueriesRefused { count, reason };
            if let Err(error) = parts.ledger.append_async(body, &by, parts.clock.now()).await {
                tracing::error!(%error, "the refusal of a query could not be entered in the ledger");
            }
        }
    }
}
