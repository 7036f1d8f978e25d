//! The newest start of each peer, and those that were refused beside it.
//!
//! 1. The first start that is seen of a node is its newest one; a later one replaces it once the whole hello was good
//!    ([`LedgerHeads::admit_start`]).
//! 2. A hello of any other start is refused ([`LedgerHeads::check_start`]). The node gets the newest statement as the proof, and the node
//!    that is served gets the refused one, each signed by its own key.
//! 3. Of the refused starts the first one is stored, until a later start is admitted.

use concordat_protocol::ids::{InstitutionId, NodeId};
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::HelloStatement;

use super::shown_start::{PeerStart, RefusedStart, ShownStart, StartRefused, describe};
use super::{LedgerHeads, LedgerHeadsError, locked};

/// A node of which a start was refused.
#[derive(Clone, Debug)]
pub struct RefusedPeerStart {
    /// Its institution.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// The number of the newest start, which is served.
    pub known: u64,
    /// The number of the refused one.
    pub shown: u64,
    /// How the two relate.
    pub reason: String,
    /// When it was refused, RFC 3339.
    pub at: String,
}

impl LedgerHeads {
    /// Checks that no later start of `peer` is known than the one that it states, and no other one of the same number.
    ///
    /// # Errors
    /// [`StartRefused`] with the proof.
    pub(crate) fn check_start(&self, peer: &NodeId, shown: &ShownStart) -> Result<(), StartRefused> {
        let state = self.state();
        state.starts.get(peer).map_or(Ok(()), |known| known.check(shown))
    }

    /// Stores a start whose hello was good as the newest one of `peer`; it is durable when this returns.
    ///
    /// # Errors
    /// [`LedgerHeadsError::Start`] if another hello has shown a later one in the meantime.
    pub(crate) async fn admit_start(
        &self,
        peer: NodeId,
        institution: InstitutionId,
        shown: ShownStart,
    ) -> Result<(), LedgerHeadsError> {
        let heads = self.clone();
        let admit = move || {
            let _changing = locked(&heads.0.changing);
            let known = heads.state().starts.get(&peer).cloned();
            if let Some(known) = &known {
                known.check(&shown)?;
                if known.newest.start == shown.start {
                    return Ok(());
                }
            }
            let next = PeerStart {
                institution,
                newest: shown,
                refused: None,
            };
            heads.put_start(peer, &next)
        };
        tokio::task::spawn_blocking(admit).await?
    }

    /// Stores a start of `peer` that was refused, and returns whether it is the first one beside the newest.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(crate) async fn note_refused_start(
        &self,
        peer: NodeId,
        refused: &StartRefused,
    ) -> Result<bool, LedgerHeadsError> {
        let heads = self.clone();
        let refused = refused.clone();
        let note = move || {
            let _changing = locked(&heads.0.changing);
            let known = heads.state().starts.get(&peer).cloned();
            let Some(mut known) = known.filter(|known| known.refused.is_none()) else {
                return Ok(false);
            };
            known.refused = Some(RefusedStart {
                shown: *refused.shown,
                at: heads.0.clock.now(),
            });
            heads.put_start(peer, &known)?;
            Ok(true)
        };
        tokio::task::spawn_blocking(note).await?
    }

    /// The signed statement of the refused start of `peer`, to be shown to the node that is served.
    pub(crate) fn refused_start(&self, peer: &NodeId) -> Option<Signed<HelloStatement>> {
        let state = self.state();
        let refused = state.starts.get(peer)?.refused.as_ref()?;
        Some(refused.shown.signed.clone())
    }

    /// The nodes of which a start was refused since the newest one was admitted.
    pub fn refused_starts(&self) -> Vec<RefusedPeerStart> {
        let state = self.state();
        let refused = state.starts.iter().filter_map(|(node, known)| {
            let refused = known.refused.as_ref()?;
            Some(RefusedPeerStart {
                institution: known.institution.clone(),
                node: *node,
                known: known.newest.start.number,
                shown: refused.shown.start.number,
                reason: describe(refused.shown.start, known.newest.start),
                at: refused.at.to_string(),
            })
        });
        refused.collect()
    }

    /// In memory first: a start that is refused stays refused even if the state cannot be written.
    fn put_start(&self, node: NodeId, start: &PeerStart) -> Result<(), LedgerHeadsError> {
        self.state().starts.insert(node, start.clone());
        Ok(self.0.peer_starts.put(&node.to_string(), start)?)
    }
}
