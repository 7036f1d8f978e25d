//! One exchange of hellos, from either side.

use concordat_protocol::wire::streams::HELLO;
use std::time::Duration;

use concordat_protocol::audit::{LedgerHead, LedgerProof};
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{Hello, HelloReply};

use super::error::HelloError;
use crate::attribution::by_peer;
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

    /// The exchange as the listener.
    pub(super) async fn answer(&self, mut stream: FramedStream) -> Result<Attested, HelloError> {
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
}
