//! Addresses that members state and this node does not dial: shown to people, and allowed host by host when a member is admitted.
//!
//! Addresses in the configured ranges are dialed without further approval. Any other host is dialed only after a person has allowed it at
//! `consortium admit`, only by this node, and only for the institution and at the ports of its application; who allowed it is in
//! the ledger, and the approval is stored in the sealed state under that institution. It ends when that institution is removed.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use concordat_protocol::audit::{EntryBody, MAX_LIST};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{Enrollment, Member, MemberNode, MemberStatus, ValidRoster};
use concordat_protocol::text::{Address, Label};
use concordat_storage::ledger::Attribution;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree};

use super::{Membership, MembershipError};
use crate::changes::{ALLOWED_HOSTS, Subject};
use crate::network::{AllowedHost, DialRefused, Dialing, Multiaddr};

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

    fn add(&self, institution: &InstitutionId, hosts: &[SocketAddr]) -> Result<(), MetaError> {
        let mut all = self.0.get(institution.as_str())?.unwrap_or_default();
        all.extend(hosts);
        all.sort();
        all.dedup();
        self.0.put(institution.as_str(), &all)
    }

    /// Drops the hosts of members that the roster lists as removed.
    fn drop_removed(&self, roster: &ValidRoster) -> Result<(), MetaError> {
        let removed = |member: &&Member| member.status == MemberStatus::Removed;
        for member in roster.roster().members.iter().filter(removed) {
            if self.0.contains(member.institution.as_str())? {
                self.0.remove(member.institution.as_str())?;
                tracing::info!(institution = %member.institution, "hosts that were allowed for a removed institution are no longer dialed");
            }
        }
        Ok(())
    }
}

/// An address of a member that this node does not dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDialed {
    /// The institution that states it.
    pub institution: InstitutionId,
    /// The address as stated.
    pub address: Address,
    /// Why it is not dialed.
    pub reason: DialRefused,
}

impl fmt::Display for NotDialed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.address, self.reason)
    }
}

impl Membership {
    /// The hosts of the applicant that have to be allowed, with the ports that it states.
    ///
    /// # Errors
    /// [`MembershipError::NotDialed`] with the addresses that are neither in a configured range nor at one of `hosts`;
    /// [`MembershipError::TooManyHosts`].
    pub(super) fn hosts_to_allow(
        &self,
        enrollment: &Enrollment,
        hosts: &[IpAddr],
    ) -> Result<Vec<SocketAddr>, MembershipError> {
        let dialing = self.0.network.dialing();
        let refused = not_dialed(dialing, &enrollment.institution, &enrollment.nodes);
        let (named, other): (Vec<_>, Vec<_>) = refused.into_iter().partition(|found| match found.reason {
            DialRefused::Range { ip, .. } => hosts.contains(&ip),
            // The address behind a name is not known before it is dialed; it is checked then.
            DialRefused::Name => true,
            DialRefused::Form | DialRefused::Never { .. } => false,
        });
        if !other.is_empty() {
            return Err(MembershipError::NotDialed { addresses: other });
        }
        let allowed: BTreeSet<SocketAddr> = named.iter().filter_map(|found| socket_of(found.reason)).collect();
        if allowed.len() > MAX_LIST {
            return Err(MembershipError::TooManyHosts { max: MAX_LIST });
        }
        Ok(Vec::from_iter(allowed))
    }

    /// Records that these hosts of `institution` are allowed, and dials them from now on.
    ///
    /// # Errors
    /// If state or ledger cannot be written.
    pub(super) async fn allow_hosts(
        &self,
        institution: InstitutionId,
        allowed: Vec<SocketAddr>,
        by: &Attribution,
    ) -> Result<(), MembershipError> {
        if allowed.is_empty() {
            return Ok(());
        }
        let entry = EntryBody::HostsAllowed {
            institution: institution.clone(),
            hosts: allowed.iter().map(|host| Label::sanitized(&host.to_string())).collect(),
        };
        // Durable before it is dialed: the person is not asked again after a restart.
        let (inner, by) = (self.0.clone(), by.clone());
        let all = tokio::task::spawn_blocking(move || {
            let (changes, now) = (&inner.changes, inner.clock.now());
            let subject = Subject::AllowedHosts(institution.to_string());
            changes.make(subject, entry, (&by, now), || {
                inner.allowed_hosts.add(&institution, &allowed)?;
                Ok::<_, MembershipError>(inner.allowed_hosts.all()?)
            })
        });
        self.0.network.dialing().allow_only(all.await??);
        Ok(())
    }

    /// Stops dialing the hosts that were allowed for members that `roster` lists as removed.
    pub(super) async fn drop_hosts_of_removed(&self, roster: Arc<ValidRoster>) -> Result<(), MembershipError> {
        let inner = self.0.clone();
        let all = tokio::task::spawn_blocking(move || {
            inner.allowed_hosts.drop_removed(&roster)?;
            inner.allowed_hosts.all()
        });
        self.0.network.dialing().allow_only(all.await??);
        Ok(())
    }

    /// The addresses of active members that this node does not dial, except host names.
    pub fn not_dialed(&self, roster: &ValidRoster) -> Vec<NotDialed> {
        let dialing = self.0.network.dialing();
        let of = |institution, nodes| not_dialed(dialing, institution, nodes);
        let members = roster.active_members();
        let refused = members.flat_map(|member| of(&member.institution, &member.nodes));
        refused.filter(|found| found.reason != DialRefused::Name).collect()
    }

    pub(super) fn warn_of_addresses(&self, roster: &ValidRoster) {
        for NotDialed {
            institution,
            address,
            reason,
        } in self.not_dialed(roster)
        {
            tracing::warn!(%institution, %address, %reason, "an address of a member is not dialed");
        }
    }
}

fn socket_of(reason: DialRefused) -> Option<SocketAddr> {
    match reason {
        DialRefused::Range { ip, port } => Some((ip, port).into()),
        DialRefused::Form | DialRefused::Name | DialRefused::Never { .. } => None,
    }
}

fn not_dialed(dialing: &Dialing, institution: &InstitutionId, nodes: &[MemberNode]) -> Vec<NotDialed> {
    let check = |address: &Address| {
        let parsed = address.as_str().parse::<Multiaddr>();
        let checked = parsed
            .map_err(|_| DialRefused::Form)
            .and_then(|parsed| dialing.check(&parsed, institution));
        checked.err().map(|reason| NotDialed {
            institution: institution.clone(),
            address: address.clone(),
            reason,
        })
    };
    let addresses = nodes.iter().flat_map(|node| &node.addresses);
    addresses.filter_map(check).collect()
}
