//! Statements that peers send, and this node's in return.

use concordat_network::{FramedStream, IncomingStreams};
use concordat_protocol::wire::messages::RulesFrame;
use tracing::Instrument as _;

use super::error::ExchangeError;
use super::handle::Rules;
use crate::membership::session_span;
use crate::shutdown::Stage;

impl Rules {
    pub(super) async fn serve_all(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let rules = self.clone();
            let span = session_span(stream.session().peer());
            let token = stage.token().clone();
            let served = async move {
                // A peer that sends nothing does not delay the stop.
                if let Some(Err(error)) = token.run_until_cancelled(rules.serve_one(stream)).await {
                    tracing::warn!(%error, "a statement of rules was not accepted, or not answered");
                }
            };
            stage.spawn(served.instrument(span));
        }
    }

    async fn serve_one(&self, mut stream: FramedStream) -> Result<(), ExchangeError> {
        let session = stream.session().clone();
        let RulesFrame { statement } = stream.expect().await?;
        let attested = session.until_attested().await?;
        // Not held while the peer is slow to send or to read.
        let exchange = self.0.exchanges.begin(&attested.institution).await;
        self.receive(statement, &session).await?;
        let statement = self.present().await?;
        drop(exchange);
        stream.send(&RulesFrame { statement }).await?;
        Ok(stream.close().await?)
    }
}
