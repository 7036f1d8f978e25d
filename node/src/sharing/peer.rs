//! Queries of peers: the way into the pipeline, and the receipt at its end.

use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::query::Receipt;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{Countersignature, QueryClosing, QueryFrame, QueryOpening, Refusal};
use tracing::Instrument as _;

use super::case::{Case, PeerQuery};
use super::delivery::PeerReader;
use super::handle::Sharing;
use super::outcome::{NotRun, Outcome};
use super::pipeline::{Closed, Received, Running};
use super::span::query_span;
use super::wait_deadline::WaitDeadline;
use concordat_network::hello::Attested;
use concordat_network::{Deadlines, FramedStream, NetworkError};

/// How long the consumer may take to sign the receipt: it has to write its ledger first.
const SIGNING_DEADLINES: Deadlines = Deadlines {
    quiet: Duration::from_secs(15),
    frame: Duration::from_secs(10),
};

impl Sharing {
    /// Answers one query of a peer, or refuses it.
    pub(super) async fn answer_peer(&self, stream: FramedStream) -> Result<(), NetworkError> {
        let consumer = stream.session().until_attested().await?;
        let span = query_span(Some(&consumer.institution));
        self.answer_consumer(stream, consumer).instrument(span).await
    }

    async fn answer_consumer(&self, mut stream: FramedStream, consumer: Arc<Attested>) -> Result<(), NetworkError> {
        let QueryFrame { envelope } = stream.expect().await?;
        let session = stream.session().clone();
        let until = WaitDeadline::start();
        // Held until the receipt is entered.
        let exchange = self.0.limits.exchange(&consumer.institution, until).await;
        let _exchange = match exchange {
            Ok(exchange) => exchange,
            Err(busy) => {
                self.refused_early(&session, &busy).await;
                return refuse(stream, busy).await;
            }
        };
        let received = Received::Peer(PeerQuery {
            envelope,
            consumer,
            session: session.clone(),
            until,
        });
        let not_run = match received.run(self, session.until_cut()).await {
            Ok(running) => return self.send_answer(stream, running).await,
            Err(not_run) => not_run,
        };
        if let NotRun::Unrecorded(refusal) = &not_run {
            self.refused_early(&session, refusal).await;
        }
        refuse(stream, not_run.into_refusal()).await
    }

    async fn send_answer(&self, mut stream: FramedStream, running: Running) -> Result<(), NetworkError> {
        let opening = QueryOpening::Accepted {
            query: running.case().query(),
            tier: running.tier(),
        };
        let opened = stream.send(&opening).await;
        let closed = match opened {
            Ok(()) => {
                let mut reader = PeerReader::new(&mut stream, running.case(), &self.0.departed);
                running.stream_answer(self, &mut reader).await
            }
            Err(error) => running.abandon(error.to_string()),
        };
        // Durable before it is sent: a reader that has gone away signs it when it comes back.
        let receipt = self.store_receipt(&closed).await;
        let digest = receipt.as_ref().and_then(|receipt| receipt.payload_digest().ok());
        let exchanged = async {
            match receipt {
                Some(receipt) => self.deliver_receipt(&mut stream, &closed, receipt).await,
                None => Ok(()),
            }
        };
        // What left is known, and does not depend on the signature: it is entered while the reader signs, which may take as long as it likes.
        let (exchanged, recorded) = tokio::join!(exchanged, closed.record_outcome(self, digest));
        tracing::info!(
            rows = closed.totals.rows,
            recorded = recorded.is_ok(),
            "an answer ended"
        );
        exchanged
    }

    /// If the reader is still there, exchanges the receipt for one with both signatures.
    async fn deliver_receipt(
        &self,
        stream: &mut FramedStream,
        closed: &Closed,
        receipt: CoSigned<Receipt>,
    ) -> Result<(), NetworkError> {
        let cut = match &closed.outcome {
            Outcome::Completed => None,
            Outcome::Cut(refusal) => Some(refusal.clone()),
            Outcome::Failed(refusal) => Some(refusal.clone()),
            // The stream ends in the middle of a chunk, or has no reader. The receipt is fetched later.
            Outcome::Interrupted(_) => return Ok(()),
            Outcome::Abandoned(_) => return Ok(()),
        };
        self.exchange_receipt(stream, &closed.case, receipt, cut).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn exchange_receipt(
        &self,
        stream: &mut FramedStream,
        case: &Case,
        receipt: CoSigned<Receipt>,
        cut: Option<Refusal>,
    ) -> Result<(), NetworkError> {
        let peer = stream.session().peer();
        let digest = receipt.payload_digest().ok();
        stream.end_chunks().await?;
        stream.send(&QueryClosing { receipt, cut }).await?;
        stream.set_deadlines(SIGNING_DEADLINES);
        let signed: Countersignature = stream.expect().await?;
        let is_same = digest.is_some() && signed.receipt.payload_digest().ok() == digest;
        let keys = [self.0.parts.identity.node(), peer];
        if !is_same || signed.receipt.clone().verify(&keys).is_err() {
            tracing::warn!("the receipt came back without a valid signature");
            return Ok(());
        }
        let Case::Peer { lease, by, .. } = case else {
            return Ok(());
        };
        let consumer = (&lease.terms().consumer, peer);
        if let Err(refusal) = self.store_countersigned(case.query(), consumer, signed, by).await {
            tracing::error!(?refusal, "a countersigned receipt is not in the ledger");
        }
        Ok(())
    }
}

async fn refuse(mut stream: FramedStream, refusal: Refusal) -> Result<(), NetworkError> {
    tracing::info!(code = ?refusal.code, "a query was refused");
    stream.send(&QueryOpening::Refused(refusal)).await?;
    stream.close().await
}
