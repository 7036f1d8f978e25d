//! Queries that are refused before any policy is evaluated: entered in the ledger, in limited number ([`crate::refusals`]).

use concordat_protocol::audit::EntryBody;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::Refusal;

use super::handle::Sharing;
use crate::attribution::by_peer;
use crate::refusals::Due;
use crate::shutdown::Stage;
use concordat_network::Session;

impl Sharing {
    /// Enters that a query was refused before the policy was evaluated.
    pub(super) async fn refused_early(&self, session: &Session, refusal: &Refusal) {
        let first = refusal.reasons.first();
        let reason = Reason::sanitized(first.map_or("no reason was given", |reason| reason.text.as_str()));
        let now = self.0.parts.clock.now();
        self.enter_refusals(self.0.early.note(session.peer(), by_peer(session), reason, now))
            .await;
    }

    /// Enters the counted refusals once their minute is over, until `stage` stops; then the remaining ones.
    pub(super) async fn enter_counted_refusals(self, stage: Stage) {
        let now = || self.0.parts.clock.now();
        self.0
            .early
            .enter_counted(&stage, now, |due| self.enter_refusals(due))
            .await;
    }

    async fn enter_refusals(&self, due: Vec<Due>) {
        let parts = &self.0.parts;
        for Due { count, reason, by, .. } in due {
            let body = EntryBody::QueriesRefused { count, reason };
            if let Err(error) = parts.ledger.append_async(body, &by, parts.clock.now()).await {
                tracing::error!(%error, "the refusal of a query could not be entered in the ledger");
            }
        }
    }
}
