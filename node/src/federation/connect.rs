//! Streams to the holder of a grant.

use concordat_network::FramedStream;
use concordat_protocol::grant::Party;
use concordat_protocol::ids::{GrantId, InstitutionId, NodeId};
use concordat_protocol::wire::streams::StreamName;

use super::error::FederationError;
use super::handle::Federation;

impl Federation {
    /// The first node of `provider` to which there is a connection.
    pub(super) fn connected_node(&self, provider: &InstitutionId) -> Option<NodeId> {
        let parts = &self.0.parts;
        let roster = parts.membership.valid_roster(parts.clock.now()).ok()?;
        let connected = parts.network.connected_peers();
        let mut nodes = roster.active_member(provider)?.nodes.iter().map(|node| node.node);
        nodes.find(|node| connected.contains(node))
    }

    /// A stream to the first node of `provider` that can be reached. The node must have presented the key with which `grant` was
    /// agreed, because no other party may read the query.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn connect(
        &self,
        provider: &InstitutionId,
        grant: &GrantId,
        protocol: StreamName,
    ) -> Result<(NodeId, FramedStream), FederationError> {
        let parts = &self.0.parts;
        let held = parts.grants.get(grant).await;
        let holder = held.map(|view| view.terms.side(Party::Provider));
        let roster = parts.membership.valid_roster(parts.clock.now());
        let roster = roster.map_err(|error| FederationError::machine("the roster cannot be used", error))?;
        let missing = || FederationError::NotMember {
            provider: provider.clone(),
        };
        let member = roster.active_member(provider).ok_or_else(missing)?;
        let mut last = None;
        for node in &member.nodes {
            match parts.network.open(node.node, protocol).await {
                Ok(stream) => {
                    let shown = stream.session().attested();
                    let same = shown
                        .zip(holder.as_ref())
                        .is_some_and(|(shown, holder)| shown.acts_for(holder));
                    return same
                        .then_some((node.node, stream))
                        .ok_or_else(|| FederationError::KeyChanged {
                            provider: provider.clone(),
                        });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(missing, |source| FederationError::Unreachable {
            provider: provider.clone(),
            source,
        }))
    }
}
