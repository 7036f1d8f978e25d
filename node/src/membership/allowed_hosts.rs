//! The hosts that people have allowed, in the sealed state.

use std::net::SocketAddr;

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{Member, MemberStatus, ValidRoster};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree};

use crate::changes::ALLOWED_HOSTS;
use concordat_network::AllowedHost;

/// The hosts that people allowed, with their ports, in the sealed state, by institution.
#[derive(Debug)]
pub(super) struct AllowedHosts(SealedTree<Vec<SocketAddr>>);

impl AllowedHosts {
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self(meta.tree(ALLOWED_HOSTS)?))
    }

    pub(super) fn all(&self) -> Result<Vec<AllowedHost>, MetaError> {
        let mut all = Vec::new();
        for (name, sockets) in self.0.iter()? {
            // A name that is not an id belongs to no member, so its hosts are not dialed.
            let Ok(institution) = InstitutionId::new(&name) else {
                continue;
            };
            all.extend(sockets.into_iter().map(|socket| AllowedHost {
                institution: institution.clone(),
                socket,
            }));
        }
        Ok(all)
    }

    pub(super) fn add(&self, institution: &InstitutionId, hosts: &[SocketAddr]) -> Result<(), MetaError> {
        let mut all = self.0.get(institution.as_str())?.unwrap_or_default();
        all.extend(hosts);
        all.sort();
        all.dedup();
        self.0.put(institution.as_str(), &all)
    }

    /// Drops the hosts of members that the roster lists as removed.
    pub(super) fn drop_removed(&self, roster: &ValidRoster) -> Result<(), MetaError> {
        let removed = |member: &&Member| member.status == MemberStatus::Removed;
        for member in roster.roster().members.iter().filter(removed) {
            if self.0.contains(member.institution.as_str())? {
                self.0.remove(member.institution.as_str())?;
                tracing::info!(peer = %member.institution, "hosts that were allowed for a removed institution are no longer dialed");
            }
        }
        Ok(())
    }
}
