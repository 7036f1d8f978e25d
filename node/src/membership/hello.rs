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
//! Each side states which start of its node it is. A start that is not the newest one known of the node is refused with the signed statement
//! of that one, before the ledgers are compared: the node learns that it is a copy, and the node that is served learns it in another hello
//! on its own connection.
//!
//! A hello is repeated on an existing session to renew a certificate, and to prove heads when many are pending.
//!
//! A dialer whose clock is wrong gets the listener's hello before it is rejected, so that it detects the problem itself. The same applies
//! to the peer of a node whose ledger is an older copy.
//!
//! [`Hello`]: concordat_protocol::wire::messages::Hello

mod error;
mod exchange;
mod ledger_proofs;
mod outcome;
mod verify_peer;

use tracing::Instrument as _;

use super::handle::Membership;
use super::span::session_span;
use crate::shutdown::Stage;
use concordat_network::{IncomingStreams, Role, Session};

impl Membership {
    /// Runs the hello protocol on every new session, as dialer or listener, until `stage` stops.
    pub fn serve_hello(&self, incoming: IncomingStreams, stage: &Stage) {
        stage.spawn(self.clone().enter_counted_refusals(stage.clone()));
        stage.spawn(self.clone().answer_all(incoming, stage.clone()));
        stage.spawn(self.clone().serve_hellos(stage.clone()));
        stage.spawn(self.clone().end_when_older(stage.clone()));
        stage.spawn(self.clone().request_proofs(stage.clone()));
    }

    async fn answer_all(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let membership = self.clone();
            let session = stream.session().clone();
            let span = session_span(session.peer());
            let over = stream.connection();
            let answer = async move {
                let answered = membership.answer(stream).await;
                membership.finish_hello(&session, over, answered).await;
            };
            stage.spawn(answer.instrument(span));
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
                self.spawn_hello(session, &stage);
            }
            seen = seen.max(newest);
            match stage.token().run_until_cancelled(sessions.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Starts a hello on an open session: the first one, or another one that renews what both sides have presented.
    pub(super) fn spawn_hello(&self, session: &Session, stage: &Stage) {
        let membership = self.clone();
        let session = session.clone();
        let span = session_span(session.peer());
        let hello = async move {
            let outcome = membership.introduce(&session).await;
            membership.finish_hello(&session, None, outcome).await;
            if session.attested().is_some() {
                membership.note_good_address(&session).await;
                membership.exchange_addresses(&session).await;
            }
        };
        stage.spawn(hello.instrument(span));
    }
}
