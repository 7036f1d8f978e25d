//! What this institution states about itself: its application to join, and its newer statements as a member.

use concordat_protocol::identity::{InstitutionKey, PrivateKey as _};
use concordat_protocol::membership::{Enrollment, KeySuccession, Member, MemberNode, Roster, from_file, to_armor};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::Address;
use concordat_protocol::time::Timestamp;

use super::error::MembershipError;
use super::handle::Membership;
use concordat_network::{Multiaddr, address};

impl Membership {
    /// This institution's application to join, or its newer statement about itself, as text that can be mailed. It lists this node
    /// and the other nodes of the institution: those on the present roster, or on the one in `roster_file` for a node that has
    /// not joined yet.
    ///
    /// # Errors
    /// [`MembershipError`] when it cannot be signed, or the file is not a roster with a statement of this institution.
    pub fn enroll(&self, roster_file: Option<&[u8]>) -> Result<String, MembershipError> {
        Ok(to_armor(&self.statement(roster_file)?))
    }

    /// As [`Self::enroll`], as a signed document.
    pub(super) fn statement(&self, roster_file: Option<&[u8]>) -> Result<Signed<Enrollment>, MembershipError> {
        self.stated_by(&self.0.identity.institution_key(), roster_file, None)
    }

    /// This institution's statement about itself, signed with `key`.
    pub(super) fn stated_by(
        &self,
        key: &InstitutionKey,
        roster_file: Option<&[u8]>,
        succeeds: Option<Signed<KeySuccession>>,
    ) -> Result<Signed<Enrollment>, MembershipError> {
        let identity = &self.0.identity;
        let now = self.0.clock.now();
        let stated = match roster_file {
            Some(file) => Some(self.stated_in(file)?),
            None => self.newest().and_then(|roster| {
                let ours = roster.member(&identity.institution)?;
                (ours.key == identity.institution_public()).then(|| (ours.nodes.clone(), ours.stated_at))
            }),
        };
        let (mut nodes, issued_at) = match stated {
            // A statement replaces an earlier one only if it is later, so the clock alone does not decide.
            Some((nodes, at)) => (nodes, now.max(at.plus_millis(1))),
            None => (Vec::new(), now),
        };
        nodes.retain(|node| node.node != identity.node());
        nodes.push(MemberNode {
            node: identity.node(),
            addresses: self.addresses()?,
        });
        let enrollment = Enrollment {
            institution: identity.institution.clone(),
            name: identity.name.clone(),
            jurisdiction: identity.jurisdiction.clone(),
            key: key.public(),
            nodes,
            issued_at,
            succeeds,
        };
        let signed = Signed::sign(&enrollment, key).map_err(MembershipError::OwnDocument)?;
        Ok(signed.signed().clone())
    }

    /// What this institution has stated about its nodes on the roster in `file`, verified by its own signature.
    fn stated_in(&self, file: &[u8]) -> Result<(Vec<MemberNode>, Timestamp), MembershipError> {
        let identity = &self.0.identity;
        let roster = from_file::<CoSigned<Roster>>(file)?.peek_unverified()?;
        let ours = |member: &Member| member.institution == identity.institution;
        let entry = roster.members.into_iter().find(ours);
        let entry = entry.ok_or_else(|| MembershipError::NotListed {
            institution: identity.institution.clone(),
        })?;
        let stated = entry.statement.verify(identity.institution_public())?;
        Ok((stated.document().nodes.clone(), stated.document().issued_at))
    }

    /// The addresses to announce: those of the configuration, or those that this node listens on.
    ///
    /// # Errors
    /// [`MembershipError::NoAddress`] if there is none.
    pub(super) fn addresses(&self) -> Result<Vec<Address>, MembershipError> {
        if !self.0.announced.is_empty() {
            return Ok(self.0.announced.clone());
        }
        let mut listening = self.0.network.listen_addrs();
        // Addresses are tried in this order. TCP first: it is faster, and a peer that dies is noticed at once.
        listening.sort_by_key(|address| !address::is_tcp(address));
        let addresses: Vec<_> = listening
            .iter()
            .map(Multiaddr::to_string)
            .filter_map(|text| Address::new(&text).ok())
            .collect();
        if addresses.is_empty() {
            Err(MembershipError::NoAddress)
        } else {
            Ok(addresses)
        }
    }
}
