//! When this node sends its statement and gets that of a peer: on each session that it has dialed, when what it enforces has changed, and
//! from time to time.

use std::time::Duration;

use concordat_network::{Role, Session};
use concordat_protocol::ids::{Digest32, NodeId};
use concordat_protocol::wire::messages::{RulesFrame, ValidRules};
use concordat_protocol::wire::streams::RULES;
use tracing::Instrument as _;

use super::error::ExchangeError;
use super::handle::Rules;
use crate::membership::session_span;
use crate::shutdown::Stage;

/// Minimum time between two comparisons of what is enforced with what was announced: a steward sets several limits one after the other.
const PAUSE: Duration = Duration::from_secs(2);
/// How long one exchange may take, so that a peer that does not answer delays neither the others nor the stop.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often all peers are sent the statement although it has not changed: one that was ignored because there were too many arrives so.
const REPEAT_INTERVAL: Duration = Duration::from_secs(15 * 60);

impl Rules {
    /// Exchanges statements on each new session that this node has dialed, once the hello is complete, until `stage` stops.
    pub(super) async fn exchange_on_sessions(self, stage: Stage) {
        let mut sessions = self.network().sessions();
        let mut seen = 0;
        loop {
            let open_sessions = sessions.borrow_and_update().clone();
            let newest = open_sessions.values().map(Session::number).max().unwrap_or(0);
            let dialed = open_sessions.values().filter(|session| session.role() == Role::Dialer);
            for session in dialed.filter(|session| session.number() > seen) {
                let rules = self.clone();
                let session = session.clone();
                let span = session_span(session.peer());
                let token = stage.token().clone();
                let exchanged = async move {
                    let attested = token.run_until_cancelled(session.until_attested()).await;
                    if let Some(Ok(_)) = attested {
                        let exchange = rules.exchange_or_log(session.peer());
                        token.run_until_cancelled(exchange).await;
                    }
                };
                stage.spawn(exchanged.instrument(span));
            }
            seen = seen.max(newest);
            match stage.token().run_until_cancelled(sessions.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Exchanges statements with all peers when that of this node has changed, and from time to time, until `stage` stops.
    pub(super) async fn exchange_on_changes(self, stage: Stage) {
        let mut epoch = self.0.parts.epoch.watch();
        let mut announced = None;
        loop {
            match stage.token().run_until_cancelled(self.announce(announced)).await {
                Some(Ok(digest)) => announced = Some(digest),
                Some(Err(error)) => tracing::error!(%error, "the rules of this node cannot be announced"),
                None => return,
            }
            let changed = async {
                tokio::time::sleep(PAUSE).await;
                tokio::time::timeout(REPEAT_INTERVAL, epoch.changed()).await
            };
            match stage.token().run_until_cancelled(changed).await {
                Some(Ok(Ok(()))) => {}
                Some(Err(_)) => announced = None,
                Some(Ok(Err(_))) | None => return,
            }
        }
    }

    /// Exchanges statements with all peers unless the present one has the digest `announced`; returns its digest.
    async fn announce(&self, announced: Option<Digest32>) -> Result<Digest32, ExchangeError> {
        let digest = self.present_from_records().await?.digest();
        if announced == Some(digest) {
            return Ok(digest);
        }
        let open_sessions = self.network().sessions().borrow().clone();
        let attested = open_sessions.values().filter(|session| session.attested().is_some());
        let exchanges = attested.map(|session| {
            let peer = session.peer();
            self.exchange_or_log(peer).instrument(session_span(peer))
        });
        futures::future::join_all(exchanges.collect::<Vec<_>>()).await;
        Ok(digest)
    }

    async fn exchange_or_log(&self, peer: NodeId) {
        match tokio::time::timeout(EXCHANGE_TIMEOUT, self.exchange(peer)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "statements of rules were not exchanged"),
            Err(_) => tracing::debug!("the peer did not answer with its statement of rules in time"),
        }
    }

    /// Exchanges statements with a peer; returns its own, which is kept if it is newer than the known one.
    pub(super) async fn exchange(&self, peer: NodeId) -> Result<ValidRules, ExchangeError> {
        let statement = self.present().await?;
        let mut stream = self.network().open(peer, RULES).await?;
        stream.send(&RulesFrame { statement }).await?;
        let RulesFrame { statement } = stream.expect().await?;
        let session = stream.session().clone();
        self.receive(statement, &session).await
    }

    /// Drops the statements and probes of nodes that leave the roster, until `stage` stops.
    pub(super) async fn follow_roster(self, stage: Stage) {
        let mut roster = self.0.parts.membership.watch();
        loop {
            let newest = roster.borrow_and_update().clone();
            if let Some(newest) = newest {
                let inner = self.0.clone();
                let drop_former = move || {
                    inner.peers.retain(&newest)?;
                    inner.probes.retain(&newest)
                };
                let dropped = tokio::task::spawn_blocking(drop_former).await;
                if let Ok(Err(error)) = dropped {
                    tracing::error!(%error, "the rules of former peers cannot be removed");
                }
            }
            match stage.token().run_until_cancelled(roster.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}
