//! The span of a query, on either side of it.
//!
//! `peer` is the other institution, `query` and `grant` are the beginnings of their ids, and `dataset` is the dataset's name at its
//! provider; a query of this institution's own people has no peer and no grant. Everything that is logged for a query is logged in its
//! span, and never its text or data.

use concordat_protocol::ids::{DatasetName, GrantId, InstitutionId, QueryId};
use tracing::Span;
use tracing::field::{Empty, display};

/// The span of a query of `peer`, or to it, before anything else about it is known. Its level is that of errors, so that it is there for
/// each event that is logged.
pub(crate) fn query_span(peer: Option<&InstitutionId>) -> Span {
    let peer = peer.map(display);
    tracing::error_span!("query", peer, query = Empty, grant = Empty, dataset = Empty)
}

/// Names the query in the current span.
pub(crate) fn identify_query(query: &QueryId) {
    Span::current().record("query", display(query.short()));
}

/// Names in the current span under which grant the query is, and of which dataset.
pub(crate) fn describe_query(grant: Option<&GrantId>, dataset: &DatasetName) {
    let span = Span::current();
    span.record("dataset", display(dataset));
    if let Some(grant) = grant {
        span.record("grant", display(grant.short()));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn query_span_names_peer_query_grant_and_dataset() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = query_span(Some(&"basel".parse().unwrap())).entered();
            identify_query(&QueryId::from_bytes([3; 16]));
            describe_query(Some(&GrantId::from_bytes([4; 16])), &DatasetName::new("heart").unwrap());
            tracing::error!("an answer ended");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for field in ["peer=basel", "query=03030303", "grant=04040404", "dataset=heart"] {
            let is_whole = |rest: &str| rest.starts_with([' ', '}']);
            let found = text.split_once(field).is_some_and(|(_, rest)| is_whole(rest));
            assert!(found, "`{field}` is not in {text}");
        }
    }
}
