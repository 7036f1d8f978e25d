//! The span of a negotiation. The grant that results from it has the same id, so both have the same span.
//!
//! `negotiation` is the beginning of the id, `peer` the other institution. Everything that is logged below `node/src/negotiation` names
//! them by these two names, and never what is requested, offered or agreed.

use concordat_protocol::ids::{InstitutionId, NegotiationId};
use tracing::Span;
use tracing::field::{Empty, display};

/// The span of a negotiation with `peer`. Its level is that of errors, so that it is there for each event that is logged.
pub(super) fn of(id: &NegotiationId, peer: &InstitutionId) -> Span {
    let span = of_unidentified(peer);
    span.record("negotiation", display(id.short()));
    span
}

/// The span of a message of `peer` before it is known which negotiation it belongs to; see [`identify`].
pub(super) fn of_unidentified(peer: &InstitutionId) -> Span {
    tracing::error_span!("negotiation", negotiation = Empty, %peer)
}

/// Names the negotiation in the current span.
pub(super) fn identify(id: &NegotiationId) {
    Span::current().record("negotiation", display(id.short()));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn span_names_the_negotiation_and_its_peer_at_any_level() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(LevelFilter::WARN)
            .with_writer(log.clone())
            .finish();
        let id = NegotiationId::from_bytes([0xab; 16]);
        let peer = "zurich".parse().unwrap();
        tracing::subscriber::with_default(subscriber, || {
            of(&id, &peer).in_scope(|| tracing::warn!("known"));
            of_unidentified(&peer).in_scope(|| {
                identify(&id);
                tracing::warn!("identified");
            });
        });
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = logged.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        for line in lines {
            let expected = serde_json::json!({ "name": "negotiation", "negotiation": "abababab", "peer": "zurich" });
            assert_eq!(line["span"], expected);
        }
    }
}
