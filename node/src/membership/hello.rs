//! The first exchange on every connection: each side proves which institution its node belongs to.
//!
//! 1. The dialer sends its [`Hello`]: the institution's certificate, a fresh statement that names both ends, and the heads of the
//!    listener's ledger that it has stored.
//! 2. The listener checks it against the roster and answers with its own hello, and with its ledger's head and the proof that it extends
//!    the stored heads ([`crate::ledger_heads`]).
//! 3. The dialer checks the answer, attests the session, and proves the same for its own ledger; then the listener attests. A failed
//!    check closes the connection and is counted: the first failure of a peer is written to the ledger at once, and the others of the same
//!    minute together.
//!
//! A hello is repeated on an existing session to renew a certificate, and to prove heads when many are pending.
//!
//! A dialer whose clock is wrong gets the listener's hello before it is rejected, so that it detects the problem itself. The same applies
//! to the peer of a node whose ledger is an older copy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concordat_protocol::audit::{EntryBody, LedgerHead, LedgerProof};
use concordat_protocol::ids::{NodeId, Nonce};
use concordat_protocol::membership::{CertificateError, NodeCertificate, ValidCertificate, ValidRoster};
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::time::{Staleness, Timestamp};
use concordat_protocol::wire::messages::{Hello, HelloReply, HelloStatement};

use super::{Membership, MembershipError};
use crate::attribution::by_peer;
use crate::ledger_heads::LedgerHeadsError;
use crate::network::hello::{Attested, HELLO};
use crate::network::{FramedStream, IncomingStreams, NetworkError, Role, Session};
use crate::refusals::Due;
use crate::shutdown::Stage;

/// Maximum age of a hello in milliseconds; the allowed clock skew is added to it.
const MAX_HELLO_AGE_MS: i64 = 30_000;

/// How long to wait for a rejected dialer to read the answer and close the connection.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Minimum time between two rounds of requesting proofs from peers: more frequent requests cost more than they show.
const PROOF_INTERVAL: Duration = Duration::from_millis(250);
/// How long a peer may take to prove heads of its ledger on a open_sessions session.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a hello failed.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The stream failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no roster to check against.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The certificate is invalid.
    #[error("the peer's certificate is invalid: {0}")]
    Certificate(#[from] CertificateError),
    /// The statement is not signed by the peer.
    #[error("the peer's statement is not signed by the peer: {0}")]
    Statement(#[from] SignatureError),
    /// The statement names ends other than those of this connection.
    #[error("the peer's statement was made for another connection")]
    OtherConnection,
    /// The statement is not fresh: usually one of the two clocks is wrong.
    #[error("one of the two clocks is wrong, or the peer's statement is an old one: {0}")]
    NotFresh(Staleness),
    /// The peer's ledger contradicts what it has presented before, or one of the two ledgers cannot be read.
    #[error(transparent)]
    LedgerHeads(#[from] LedgerHeadsError),
    /// This node continues from an older copy of its ledger, and no one has acknowledged that.
    #[error("this node's ledger is older than what it has signed, so it neither serves nor sends requests")]
    OwnLedger,
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
}

impl HelloError {
    /// Whether a wrong clock, here or at the peer, is the likely cause.
    fn is_about_clocks(&self) -> bool {
        matches!(
            self,
            Self::NotFresh(_)
                | Self::Certificate(CertificateError::FutureDated { .. } | CertificateError::Expired { .. })
        )
    }
}

impl Membership {
    /// Runs the hello protocol on every new session, as dialer or listener, until `stage` stops.
    pub fn serve_hello(&self, incoming: IncomingStreams, stage: &Stage) {
        stage.spawn(self.clone().enter_counted_refusals(stage.clone()));
        stage.spawn(self.clone().answer_all(incoming, stage.clone()));
        stage.spawn(self.clone().serve_hellos(stage.clone()));
        stage.spawn(self.clone().end_when_older(stage.clone()));
        stage.spawn(self.clone().request_proofs(stage.clone()));
    }

    /// Stops serving as soon as this node learns that it is an older copy of itself, regardless of what happens to the connection that
    /// revealed it. Sessions that are still in their hello stay open, so that the peer sees the head as well.
    async fn end_when_older(self, stage: Stage) {
        let mut older = self.0.heads.watch_older();
        let mut known = false;
        loop {
            let changed = stage
                .token()
                .run_until_cancelled(older.wait_for(|older| *older != known))
                .await;
            match changed.map(|found| found.map(|older| *older)) {
                Some(Ok(older)) => known = older,
                Some(Err(_)) | None => return,
            }
            if known {
                let open_sessions = self.0.network.sessions().borrow().clone();
                for session in open_sessions.values().filter(|session| session.attested().is_some()) {
                    self.disconnect(session.peer()).await;
                }
                self.0.epoch.raise();
            }
        }
    }

    /// Repeats the hello with peers that have many heads without a proof. A peer that is slow to answer does not delay the others.
    async fn request_proofs(self, stage: Stage) {
        let pending = Arc::new(Mutex::new(BTreeSet::new()));
        while let Some(peers) = stage.token().run_until_cancelled(self.0.heads.many_pending()).await {
            for peer in peers {
                let session = self.0.network.sessions().borrow().get(&peer).cloned();
                let session = session.filter(|session| session.attested().is_some());
                let Some(session) = session.filter(|_| locked(&pending).insert(peer)) else {
                    continue;
                };
                let (membership, pending) = (self.clone(), Arc::clone(&pending));
                stage.spawn(async move {
                    match tokio::time::timeout(PROOF_TIMEOUT, membership.introduce(&session)).await {
                        Ok(outcome) => membership.finish_hello(&session, outcome).await,
                        Err(_) => {
                            tracing::info!(peer = %peer.short(), "a peer did not prove the heads of its ledger in time")
                        }
                    }
                    locked(&pending).remove(&peer);
                });
            }
            if stage
                .token()
                .run_until_cancelled(tokio::time::sleep(PROOF_INTERVAL))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn answer_all(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let membership = self.clone();
            stage.spawn(async move {
                let session = stream.session().clone();
                let answered = membership.answer(stream).await;
                membership.finish_hello(&session, answered).await;
            });
        }
    }

    async fn serve_hellos(self, stage: Stage) {
        let mut sessions = self.0.network.sessions();
        let mut seen = 0;
        loop {
            let open_sessions = sessions.borrow_and_update().clone();
            let newest = open_sessions.values().map(Session::number).max().unwrap_or(0);
            for session in open_sessions
                .values()
                .filter(|s| s.number() > seen && s.role() == Role::Dialer)
            {
                let (membership, session) = (self.clone(), session.clone());
                stage.spawn(async move {
                    let outcome = membership.introduce(&session).await;
                    membership.finish_hello(&session, outcome).await;
                });
            }
            seen = seen.max(newest);
            match stage.token().run_until_cancelled(sessions.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    pub(super) async fn introduce(&self, session: &Session) -> Result<Attested, HelloError> {
        let peer = session.peer();
        let mut stream = self.0.network.open(peer, HELLO).await?;
        let ours = self.hello(peer)?;
        let base = ours.known_heads.clone();
        stream.send(&ours).await?;
        let HelloReply { hello, ledger } = stream.expect().await?;
        let known_heads = hello.known_heads.clone();
        let attested = self.check(hello, peer)?;
        self.check_ledger(&attested, session, base, ledger).await?;
        let proof = self.0.heads.prove(known_heads, peer, by_peer(session)).await?;
        let stopped = self.own_ledger();
        if stopped.is_ok() {
            session.attest(attested.clone());
        }
        stream.send(&proof).await?;
        stream.close().await?;
        if stopped.is_err() {
            tokio::time::timeout(GOODBYE_TIMEOUT, session.until_cut()).await.ok();
        }
        stopped.map(|()| attested)
    }

    async fn answer(&self, mut stream: FramedStream) -> Result<Attested, HelloError> {
        let session = stream.session().clone();
        let peer = session.peer();
        let hello: Hello = stream.expect().await?;
        let known_heads = hello.known_heads.clone();
        let checked = self.check(hello, peer);
        let ledger = match &checked {
            Ok(_) => self.0.heads.prove(known_heads, peer, by_peer(&session)).await?,
            Err(error) if error.is_about_clocks() => self.0.heads.prove(Vec::new(), peer, by_peer(&session)).await?,
            Err(_) => return checked,
        };
        let checked = checked.and_then(|attested| self.own_ledger().map(|()| attested));
        let ours = self.hello(peer)?;
        let base = ours.known_heads.clone();
        stream.send(&HelloReply { hello: ours, ledger }).await?;
        let attested = match checked {
            Ok(attested) => attested,
            Err(error) => {
                stream.close().await?;
                // The dialer closes the connection once it has read the answer; closing it earlier here would discard the answer.
                tokio::time::timeout(GOODBYE_TIMEOUT, session.until_cut()).await.ok();
                return Err(error);
            }
        };
        let ledger = stream.expect().await?;
        self.check_ledger(&attested, &session, base, ledger).await?;
        // Nothing is served to a node that is an older copy, or by such a node.
        self.own_ledger()?;
        session.attest(attested.clone());
        stream.close().await?;
        Ok(attested)
    }

    async fn check_ledger(
        &self,
        attested: &Attested,
        session: &Session,
        base: Vec<Signed<LedgerHead>>,
        ledger: LedgerProof,
    ) -> Result<(), HelloError> {
        let peer = (session.peer(), attested.institution.clone());
        let by = by_peer(session);
        Ok(self.0.heads.check_peer(peer, base, ledger, by).await?)
    }

    /// Checks that this node's ledger is the newest that it has signed, as far as peers have shown.
    fn own_ledger(&self) -> Result<(), HelloError> {
        match self.0.heads.own_conflict() {
            None => Ok(()),
            Some(_) => Err(HelloError::OwnLedger),
        }
    }

    fn hello(&self, to: NodeId) -> Result<Hello, HelloError> {
        let now = self.0.clock.now();
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let statement = HelloStatement {
            from: self.0.identity.node(),
            to,
            nonce: Nonce::from_bytes(nonce),
            roster: self.newest().map_or(0, |roster| roster.number()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sent_at: now,
        };
        let statement = Signed::sign(&statement, &self.0.identity.node_key)?.signed().clone();
        Ok(Hello {
            certificate: self.0.identity.certificate(now)?,
            next_certificate: self.0.identity.next_certificate(now)?,
            statement,
            known_heads: self.0.heads.known_heads(&to),
        })
    }

    fn check(&self, hello: Hello, peer: NodeId) -> Result<Attested, HelloError> {
        let now = self.0.clock.now();
        let roster = self.newest().ok_or(MembershipError::NoConsortium)?;
        let (signed, certificate) = certified(&hello, &roster, peer, now)?;
        let member = roster
            .active_node(&peer)
            .ok_or(CertificateError::NotAMember { node: peer })?;
        let statement = hello.statement.verify(peer)?;
        check_statement(statement.document(), peer, self.0.identity.node(), now)?;
        Ok(Attested {
            institution: certificate.institution().clone(),
            institution_key: certificate.institution_key(),
            earlier_keys: self.recognized_keys(member).into_iter().skip(1).collect(),
            member_since: member.since,
            roster_number: statement.document().roster,
            attested_at: now,
            not_after: certificate.not_after(),
            certificate: signed,
        })
    }

    /// After a successful hello the rosters are compared; a failed one is recorded and the peer is disconnected.
    pub(super) async fn finish_hello(&self, session: &Session, outcome: Result<Attested, HelloError>) {
        match outcome {
            Ok(attested) => {
                self.rejected_peers().remove(&session.peer());
                self.compare_rosters(session, &attested).await;
            }
            Err(HelloError::Network(error)) => {
                tracing::debug!(peer = %session.peer().short(), %error, "the hello was not completed")
            }
            Err(HelloError::OwnLedger) => self.disconnect_all().await,
            Err(error) => self.reject(session, &error).await,
        }
    }

    /// The members whose last hello was rejected, each with the reason.
    pub fn rejected_peers(&self) -> MutexGuard<'_, BTreeMap<NodeId, String>> {
        self.0.rejected_peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reject(&self, session: &Session, error: &HelloError) {
        let node = session.peer();
        self.rejected_peers().insert(node, error.to_string());
        // A ledger conflict has its own entry, which is written once.
        if !matches!(error, HelloError::LedgerHeads(LedgerHeadsError::PeerConflict { .. })) {
            self.enter_refusal(session, error).await;
        }
        self.disconnect(node).await;
    }

    /// Ends every session: this node is an older copy of itself.
    async fn disconnect_all(&self) {
        for peer in self.0.network.connected_peers() {
            self.disconnect(peer).await;
        }
        self.0.epoch.raise();
    }

    async fn disconnect(&self, node: NodeId) {
        if let Err(error) = self.0.network.disconnect(node).await {
            tracing::debug!(%error, "the network has stopped");
        }
    }

    async fn enter_refusal(&self, session: &Session, error: &HelloError) {
        let reason = Reason::sanitized(&error.to_string());
        let now = self.0.clock.now();
        let due = self.0.bad_hellos.note(session.peer(), by_peer(session), reason, now);
        self.enter_refusals(due).await;
    }

    async fn enter_counted_refusals(self, stage: Stage) {
        let now = || self.0.clock.now();
        let enter = |due| self.enter_refusals(due);
        let bad_hellos = self.0.bad_hellos.enter_counted(&stage, now, enter);
        tokio::join!(
            bad_hellos,
            self.0.refused_rosters.counted().enter_counted(&stage, now, enter)
        );
    }

    pub(super) async fn enter_refusals(&self, due: Vec<Due>) {
        for Due {
            peer,
            count,
            reason,
            by,
        } in due
        {
            tracing::warn!(peer = %peer.short(), count, %reason, "peer rejected");
            let entry = EntryBody::PeerRefused {
                node: peer,
                count,
                reason,
            };
            if let Err(error) = self.0.ledger.append_async(entry, &by, self.0.clock.now()).await {
                tracing::error!(%error, "the refusal of a peer could not be written to the ledger");
            }
        }
    }
}

fn locked(peers: &Mutex<BTreeSet<NodeId>>) -> MutexGuard<'_, BTreeSet<NodeId>> {
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The certificate signed by the key that the roster names: the sender's present key, or its next one.
fn certified(
    hello: &Hello,
    roster: &ValidRoster,
    peer: NodeId,
    now: Timestamp,
) -> Result<(Signed<NodeCertificate>, ValidCertificate), CertificateError> {
    let check = |signed: &Signed<NodeCertificate>| {
        let valid = ValidCertificate::check(signed.clone(), roster, peer, now)?;
        Ok((signed.clone(), valid))
    };
    match (check(&hello.certificate), &hello.next_certificate) {
        (Err(CertificateError::Signature(_)), Some(next)) => check(next),
        (checked, _) => checked,
    }
}

fn check_statement(statement: &HelloStatement, peer: NodeId, us: NodeId, now: Timestamp) -> Result<(), HelloError> {
    if statement.from != peer || statement.to != us {
        return Err(HelloError::OtherConnection);
    }
    statement
        .sent_at
        .fresh_at(now, MAX_HELLO_AGE_MS)
        .map_err(HelloError::NotFresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_bound_to_both_ends_and_to_the_moment() {
        let (peer, us) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let now = Timestamp::from_millis(1_000_000_000);
        let valid = HelloStatement {
            from: peer,
            to: us,
            nonce: Nonce::from_bytes([0; 16]),
            roster: 1,
            version: "1".into(),
            sent_at: now,
        };
        assert!(check_statement(&valid, peer, us, now).is_ok());
        let elsewhere = HelloStatement {
            to: peer,
            ..valid.clone()
        };
        assert!(matches!(
            check_statement(&elsewhere, peer, us, now),
            Err(HelloError::OtherConnection)
        ));
        let borrowed = HelloStatement {
            from: us,
            ..valid.clone()
        };
        assert!(matches!(
            check_statement(&borrowed, peer, us, now),
            Err(HelloError::OtherConnection)
        ));
        for hour in [-3600, 3600] {
            let wrong_clock = HelloStatement {
                sent_at: now.plus_seconds(hour),
                ..valid.clone()
            };
            assert!(matches!(
                check_statement(&wrong_clock, peer, us, now),
                Err(HelloError::NotFresh(_))
            ));
        }
    }
}
