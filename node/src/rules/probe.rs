//! Sends seeds to peers, and compares their answers about the canary with what they announce.
//!
//! 1. The peer's statement is fetched, then its answers, then its statement again. Answers are compared only if it is the same, so that a
//!    steward who changes a limit meanwhile is not taken for a mismatch.
//! 2. Each peer is probed once a day ([`PeerProbes::begin`](super::peer_probes::PeerProbes::begin)), one after the other. The answers are small,
//!    and known before.

use std::collections::BTreeSet;
use std::time::Duration;

use concordat_network::{NetworkError, Session};
use concordat_protocol::canary::Canary;
use concordat_protocol::ids::{CanarySeed, NodeId};
use concordat_protocol::probe::{Mismatch, ProbeRun, ProbedRules, check};
use concordat_protocol::wire::messages::{ProbeReply, ProbeRequest, Refusal, ValidRules};
use concordat_protocol::wire::streams::PROBE;
use tracing::Instrument as _;

use super::error::ExchangeError;
use super::handle::Rules;
use super::peer_probes::PeerProbe;
use crate::attribution::by_peer;
use crate::membership::session_span;
use crate::shutdown::Stage;

/// How often it is checked which peers are due, and how long after the start for the first time.
const CHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How long one probe may take, so that a peer that does not answer delays neither the others nor the stop.
const PROBE_TIMEOUT: Duration = Duration::from_secs(90);

/// Why a peer was not probed. Nothing is known of it then.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// Statements were not exchanged, or what was found was not kept.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The stream failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The peer does not answer now.
    #[error("the peer refuses the probe: {}", texts(.0))]
    Refused(Refusal),
    /// The peer has announced other rules meanwhile.
    #[error("the peer announced other rules during the probe")]
    OtherRules,
    /// There are no random bytes.
    #[error("the system has no random bytes")]
    Random(#[source] getrandom::Error),
    /// The work itself was interrupted.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl Rules {
    /// Probes peers from time to time, until `stage` stops.
    pub(super) async fn probe_peers(self, stage: Stage) {
        let token = stage.token();
        while token
            .run_until_cancelled(tokio::time::sleep(CHECK_INTERVAL))
            .await
            .is_some()
        {
            token.run_until_cancelled(self.probe_due()).await;
        }
    }

    /// Probes each connected peer of which a probe is due now.
    pub async fn probe_due(&self) {
        let open_sessions = self.network().sessions().borrow().clone();
        for session in open_sessions.values().filter(|session| session.attested().is_some()) {
            let now = self.0.parts.clock.now();
            if self.0.probes.begin(session.peer(), now) {
                let span = session_span(session.peer());
                self.probe_or_log(session).instrument(span).await;
            }
        }
    }

    async fn probe_or_log(&self, session: &Session) {
        match tokio::time::timeout(PROBE_TIMEOUT, self.probe(session)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the peer was not probed"),
            Err(_) => tracing::debug!("the peer did not answer a probe in time"),
        }
    }

    async fn probe(&self, session: &Session) -> Result<(), ProbeError> {
        let peer = session.peer();
        let before = self.exchange(peer).await?;
        let seed = random_seed()?;
        let runs = self.answers(peer, seed).await?;
        let after = self.exchange(peer).await?;
        if after.statement() != before.statement() {
            return Err(ProbeError::OtherRules);
        }
        let announced = probed_rules(&after);
        let compare = move || check(&Canary::of(*seed.as_bytes()), &announced, &runs);
        let found = tokio::task::spawn_blocking(compare).await?;
        self.keep_probe(session, &after, found).await
    }

    async fn answers(&self, peer: NodeId, seed: CanarySeed) -> Result<Vec<ProbeRun>, ProbeError> {
        let mut stream = self.network().open(peer, PROBE).await?;
        stream.send(&ProbeRequest { seed }).await?;
        match stream.expect().await? {
            ProbeReply::Answered(runs) => Ok(runs),
            ProbeReply::Refused(refusal) => Err(ProbeError::Refused(refusal)),
        }
    }

    async fn keep_probe(
        &self,
        session: &Session,
        announced: &ValidRules,
        found: BTreeSet<Mismatch>,
    ) -> Result<(), ProbeError> {
        if !found.is_empty() {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let found = found.join("; ");
            tracing::warn!(%found, "the peer does not answer a probe as it announces; `concordat status` shows it");
        }
        let now = self.0.parts.clock.now();
        let probe = PeerProbe {
            node: session.peer(),
            institution: announced.statement().institution.clone(),
            at: now,
            statement: announced.signed().digest(),
            found,
        };
        let by = by_peer(session);
        let inner = self.0.clone();
        let keep = move || {
            let enter = |entry| inner.parts.ledger.append(entry, &by, now).map(drop);
            inner.probes.keep(probe, enter)
        };
        Ok(tokio::task::spawn_blocking(keep).await??)
    }
}

/// What the peer announces at the tier at which the statements are answered.
fn probed_rules(announced: &ValidRules) -> ProbedRules {
    let rules = &announced.statement().rules.tiers().aggregate;
    ProbedRules {
        min_cell: rules.min_cell,
        protections: rules.protections.clone(),
    }
}

fn random_seed() -> Result<CanarySeed, ProbeError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(ProbeError::Random)?;
    Ok(CanarySeed::from_bytes(seed))
}

/// The reasons of a refusal, in one text.
fn texts(refusal: &Refusal) -> String {
    let texts: Vec<&str> = refusal.reasons.iter().map(|reason| reason.text.as_str()).collect();
    texts.join("; ")
}
