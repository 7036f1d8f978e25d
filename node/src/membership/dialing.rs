//! Addresses that members state and this node does not dial: shown to people, and allowed host by host when a member is admitted.
//!
//! Addresses in the configured ranges are dialed without further approval. Any other host is dialed only after a person has allowed it at
//! `consortium admit`, only by this node, and only for the institution and at the ports of its application; who allowed it is in
//! the ledger, and the approval is stored in the sealed state under that institution. It ends when that institution is removed.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use concordat_protocol::audit::{EntryBody, MAX_LIST};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{Enrollment, MemberNode, ValidRoster};
use concordat_protocol::text::{Address, Label};
use concordat_storage::ledger::Attribution;

use super::error::MembershipError;
use super::handle::Membership;
use super::not_dialed::NotDialed;
use crate::changes::Subject;
use concordat_network::{DialRefused, Dialing, Multiaddr};

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
        let inner = self.0.clone();
        let by = by.clone();
        let all = tokio::task::spawn_blocking(move || {
            let changes = &inner.changes;
            let now = inner.clock.now();
            let subject = Subject::AllowedHosts(institution.to_string());
            let add = || {
                inner.allowed_hosts.add(&institution, &allowed)?;
                Ok::<_, MembershipError>(inner.allowed_hosts.all()?)
            };
            changes.make(subject, (&by, now), || Ok::<_, MembershipError>((entry, add)))
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
        let refused = roster.active_members().flat_map(|member| {
            let present = |node: &MemberNode| MemberNode {
                node: node.node,
                addresses: self.addresses_of(member, node),
            };
            let nodes: Vec<MemberNode> = member.nodes.iter().map(present).collect();
            not_dialed(dialing, &member.institution, &nodes)
        });
        refused.filter(|found| found.reason != DialRefused::Name).collect()
    }

    pub(super) fn warn_of_addresses(&self, roster: &ValidRoster) {
        for NotDialed {
            institution,
            address,
            reason,
        } in self.not_dialed(roster)
        {
            tracing::warn!(peer = %institution, %address, %reason, "an address of a member is not dialed");
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
