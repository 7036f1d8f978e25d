//! One exchange of hellos, from either side.

use concordat_protocol::wire::streams::HELLO;
use std::time::Duration;

use concordat_protocol::audit::{LedgerHead, LedgerProof};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_protocol::wire::messages::{Hello, HelloClosing, HelloRefusal, HelloReply};

use super::error::HelloError;
use super::verify_peer::CheckedHello;
use crate::attribution::by_peer;
use crate::ledger_heads::ShownAs;
use crate::membership::handle::Membership;
use concordat_network::hello::Attested;
use concordat_network::{FramedStream, Session};

/// How long to wait for a rejected dialer to read the answer and close the connection.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

impl Membership {
    /// The exchange as the dialer.
    pub(super) async fn introduce(&self, session: &Session) -> Result<Attested, HelloError> {
        let peer = session.peer();
        let mut stream = self.0.network.open(peer, HELLO).await?;
        let ours = self.hello(peer)?;
        let base = ours.known_heads.clone();
        stream.send(&ours).await?;
        let (hello, ledger) = match stream.expect().await? {
            HelloReply::Answered { hello, ledger } => (hello, ledger),
            HelloReply::Refused(refusal) => return Err(self.learn_refusal(refusal, session).await),
        };
        let checked = match self.accept(hello, (base, ledger), session).await {
            Ok(checked) => checked,
            Err(error) => {
                if let Some(refused) = error.refused_start() {
                    stream.send(&HelloClosing::Refused(refused.to_wire())).await?;
                    end(&mut stream, session).await?;
                }
                return Err(error);
            }
        };
        let proof = self.0.heads.prove(checked.known_heads, peer, by_peer(session)).await?;
        let stopped = self.own_copy();
        if stopped.is_ok() {
            session.attest(checked.attested.clone());
        }
        stream.send(&HelloClosing::Proven(proof)).await?;
        stream.close().await?;
        if stopped.is_err() {
            tokio::time::timeout(GOODBYE_TIMEOUT, session.until_cut()).await.ok();
        }
        stopped.map(|()| checked.attested)
    }

    /// The exchange as the listener.
    pub(super) async fn answer(&self, mut stream: FramedStream) -> Result<Attested, HelloError> {
        let session = stream.session().clone();
        let peer = session.peer();
        let hello: Hello = stream.expect().await?;
        let checked = self.check(hello, peer);
        let known_heads = match &checked {
            Ok(checked) => checked.known_heads.clone(),
            Err(error) if error.is_about_clocks() => Vec::new(),
            Err(error) => {
                if let Some(refused) = error.refused_start() {
                    stream.send(&HelloReply::Refused(refused.to_wire())).await?;
                    end(&mut stream, &session).await?;
                }
                return checked.map(|checked| checked.attested);
            }
        };
        let ledger = self.0.heads.prove(known_heads, peer, by_peer(&session)).await?;
        let checked = checked.and_then(|checked| self.own_copy().map(|()| checked));
        let ours = self.hello(peer)?;
        let base = ours.known_heads.clone();
        stream.send(&HelloReply::Answered { hello: ours, ledger }).await?;
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => {
                end(&mut stream, &session).await?;
                return Err(error);
            }
        };
        let ledger = match stream.expect().await? {
            HelloClosing::Proven(ledger) => ledger,
            HelloClosing::Refused(refusal) => return Err(self.learn_refusal(refusal, &session).await),
        };
        self.finish_check(&checked, (base, ledger), &session).await?;
        // Nothing is served to a node that is a copy, or by such a node.
        self.own_copy()?;
        let before = session.attested();
        session.attest(checked.attested.clone());
        let is_later = before.is_some_and(|before| before.start != checked.attested.start);
        if let Some(connection) = stream.connection().filter(|_| is_later) {
            // What is left of the start before, which may still run somewhere, is not served any longer.
            self.0.network.close_others(connection).await?;
        }
        stream.close().await?;
        Ok(checked.attested)
    }

    /// Checks the listener's hello, and the proof of its ledger against the heads that it was sent.
    async fn accept(
        &self,
        hello: Hello,
        ledger: (Vec<Signed<LedgerHead>>, LedgerProof),
        session: &Session,
    ) -> Result<CheckedHello, HelloError> {
        let checked = self.check(hello, session.peer())?;
        self.finish_check(&checked, ledger, session).await?;
        Ok(checked)
    }

    /// What remains to be checked of a hello once its sender has proved its ledger: the ledger, and that no other start of the node was
    /// admitted in the meantime. From then on the start is the newest one.
    async fn finish_check(
        &self,
        checked: &CheckedHello,
        (base, ledger): (Vec<Signed<LedgerHead>>, LedgerProof),
        session: &Session,
    ) -> Result<(), HelloError> {
        let heads = &self.0.heads;
        let node = session.peer();
        let institution = checked.attested.institution.clone();
        if let Some(refused) = checked.refused_start.clone() {
            let shown = (refused, ShownAs::Refused);
            heads.learn_start(shown, node, by_peer(session)).await?;
        }
        let peer = (node, institution.clone());
        heads.check_peer(peer, base, ledger, by_peer(session)).await?;
        Ok(heads.admit_start(node, institution, checked.start.clone()).await?)
    }

    /// What follows from a refusal: if it proves that another start of this node is the newest one, this node is a copy.
    async fn learn_refusal(&self, refused: HelloRefusal, session: &Session) -> HelloError {
        let HelloRefusal { refusal, newest } = refused;
        let shown = (newest, ShownAs::Newest);
        let learned = self.0.heads.learn_start(shown, session.peer(), by_peer(session));
        if let Err(error) = learned.await {
            return error.into();
        }
        let reasons: Vec<String> = refusal.reasons.into_iter().map(|reason| reason.text).collect();
        match self.own_copy() {
            Ok(()) => HelloError::RefusedByPeer(Reason::sanitized(&reasons.join("; "))),
            Err(error) => error,
        }
    }

    /// Checks that this node is the newest one of its identity, as far as peers have shown.
    fn own_copy(&self) -> Result<(), HelloError> {
        match self.0.heads.is_copy() {
            false => Ok(()),
            true => Err(HelloError::OwnCopy),
        }
    }
}

/// Ends a stream whose last message is a refusal. The other side closes the connection once it has read it; closing it earlier here would
/// discard the message.
async fn end(stream: &mut FramedStream, session: &Session) -> Result<(), HelloError> {
    stream.close().await?;
    tokio::time::timeout(GOODBYE_TIMEOUT, session.until_cut()).await.ok();
    Ok(())
}
