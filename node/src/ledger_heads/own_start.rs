//! Other starts of this node, as peers show them.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::{NodeStart, StartOrder};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::{MAX_CLOCK_SKEW_MS, Timestamp};
use concordat_protocol::wire::messages::HelloStatement;
use concordat_storage::ledger::Attribution;

use super::own_ledger::OwnStartConflict;
use super::{LedgerHeads, LedgerHeadsError, locked};

/// As what a peer shows a statement of another start of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownAs {
    /// As the newest, for which it refuses this one.
    Newest,
    /// As one that it has refused, while it serves this one.
    Refused,
}

impl LedgerHeads {
    /// The present start of this node.
    pub fn start(&self) -> NodeStart {
        NodeStart {
            generation: self.state().own.generation,
            ..self.0.start.start()
        }
    }

    /// Learns of another start of this node. If it is later than this one, or beside it and the one that the peer serves, this node is a
    /// copy and stops serving; otherwise a copy of this node runs elsewhere. Only this node's own signature counts, so no peer can stop
    /// it by inventing a start.
    ///
    /// # Errors
    /// If ledger or state cannot be written.
    pub async fn learn_start(
        &self,
        (signed, shown): (Signed<HelloStatement>, ShownAs),
        peer: NodeId,
        by: Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let heads = self.clone();
        let learn = move || heads.learn_start_blocking((signed, shown), peer, &by);
        tokio::task::spawn_blocking(learn).await?
    }

    fn learn_start_blocking(
        &self,
        (signed, shown): (Signed<HelloStatement>, ShownAs),
        peer: NodeId,
        by: &Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let us = self.0.identity.node();
        // What this node did not sign about itself is not evidence.
        let Some(statement) = stated_by(&signed, us) else {
            return Ok(());
        };
        let conflict = OwnStartConflict {
            signed,
            start: statement.start,
            shown_by: peer,
            at: self.0.clock.now(),
        };
        match (statement.start.compare(&self.start()), shown) {
            (StartOrder::Later, _) | (StartOrder::Beside, ShownAs::Newest) => self.stop_as_copy(conflict, by),
            (StartOrder::Beside, ShownAs::Refused) => self.note_copy(conflict, by),
            // An earlier statement of this node itself can be shown at any time. One from after this start is of another node.
            (StartOrder::Earlier, ShownAs::Refused) if statement.sent_at.since(self.0.began) > MAX_CLOCK_SKEW_MS => {
                self.note_copy(conflict, by)
            }
            (StartOrder::Same | StartOrder::Earlier, _) => Ok(()),
        }
    }

    /// The conflict is durable before the ledger entry is written: if the node stops in between, the conflict remains.
    fn stop_as_copy(&self, conflict: OwnStartConflict, by: &Attribution) -> Result<(), LedgerHeadsError> {
        let inner = &self.0;
        let _changing = locked(&inner.changing);
        let mut own = self.state().own.clone();
        if own.later_start.is_some() {
            return Ok(());
        }
        let entry = EntryBody::OwnStartShown {
            signed: conflict.signed.digest(),
            stops: true,
        };
        let now = conflict.at;
        tracing::error!(
            peer = %conflict.shown_by.short(), start = self.start().number, other = conflict.start.number,
            "this node is a copy, or an older copy, of a node that peers know; it neither serves nor sends requests"
        );
        own.later_start = Some(conflict);
        self.stop_serving(&own)?;
        drop(inner.ledger.append(entry, by, now)?);
        Ok(())
    }

    /// Notes that a copy of this node runs. It is shown until this node starts again.
    fn note_copy(&self, conflict: OwnStartConflict, by: &Attribution) -> Result<(), LedgerHeadsError> {
        let _changing = locked(&self.0.changing);
        if self.state().copy.is_some() {
            return Ok(());
        }
        tracing::error!(peer = %conflict.shown_by.short(), "a peer has refused a copy of this node");
        let entry = EntryBody::OwnStartShown {
            signed: conflict.signed.digest(),
            stops: false,
        };
        let now = conflict.at;
        self.state().copy = Some(conflict);
        drop(self.0.ledger.append(entry, by, now)?);
        Ok(())
    }

    /// The start for which peers refuse this node, until it is acknowledged.
    pub fn own_start_conflict(&self) -> Option<OwnStartConflict> {
        self.state().own.later_start.clone()
    }

    /// The copy of this node that a peer has refused since this node started.
    pub fn refused_copy(&self) -> Option<OwnStartConflict> {
        self.state().copy.clone()
    }
}

/// What `node` has stated in a hello of its own, if it has signed `signed`.
fn stated_by(signed: &Signed<HelloStatement>, node: NodeId) -> Option<HelloStatement> {
    let verified = signed.clone().verify(node).ok()?;
    let statement = verified.document();
    (statement.from == node).then(|| statement.clone())
}

/// What a person is shown about the copy of this node that a peer has refused.
pub(super) fn copy_alarm(copy: &OwnStartConflict, since: Timestamp) -> String {
    format!(
        "a copy of this node ran at {} and was refused by node {}: find it and stop it; this node, which has run since {since}, is served \
         as before, and this is shown until it starts again",
        copy.at,
        copy.shown_by.short(),
    )
}
