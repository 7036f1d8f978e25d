//! The consortium as documents.

use std::net::IpAddr;

use concordat_documents::consortium::{
    AddressNotDialed, AddressRecord, Admitted, AdmittedMember, DocumentReview, IssuedChange, KnownAddress, Member,
    MemberNode, OwnLedgerConflict, OwnStartConflict, PeerLedgerConflict, ProposedChange, ProposedMember, RefusedStart,
    Roster,
};
use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{self, NodeStart, ValidRoster};

use crate::ledger_heads::{self, OwnConflict, PeerConflict, RefusedPeerStart};
use crate::membership::{Issued, NotDialed, Review};
use crate::node::Node;

/// A roster, without the text that can be mailed.
pub(super) fn roster(node: &Node, valid: &ValidRoster) -> Roster {
    let roster = valid.roster();
    let charter = &roster.charter;
    let holders: Vec<_> = charter.keys().iter().map(InstitutionPublicKey::fingerprint).collect();
    let refused = node.membership().not_dialed(valid);
    Roster {
        consortium: roster.consortium.clone(),
        number: valid.number(),
        issued_at: roster.issued_at.to_string(),
        not_after: roster.not_after.to_string(),
        valid: valid.check_validity(node.clock().now()).is_ok(),
        charter: charter.summary(),
        charter_threshold: charter.threshold(),
        charter_fingerprint: holders.join(", "),
        digest: valid.digest(),
        not_dialed: refused.into_iter().map(not_dialed).collect(),
        members: members(node, &roster.members),
        armor: None,
    }
}

fn not_dialed(found: NotDialed) -> AddressNotDialed {
    AddressNotDialed {
        institution: found.institution,
        address: found.address,
        reason: found.reason.to_string(),
    }
}

fn members(node: &Node, listed: &[membership::Member]) -> Vec<Member> {
    let ours = node.identity().node();
    let connected = node.network().connected_peers();
    let is_connected = |node: &membership::MemberNode| node.node == ours || connected.contains(&node.node);
    let members = listed.iter().map(|member| Member {
        institution: member.institution.clone(),
        name: member.name.clone(),
        jurisdiction: member.jurisdiction.clone(),
        status: member.status,
        fingerprint: member.key.fingerprint(),
        earlier_fingerprints: member.earlier.iter().map(|earlier| earlier.key.fingerprint()).collect(),
        since: member.since,
        stated_at: member.stated_at.to_string(),
        connected: member.nodes.iter().any(is_connected),
        nodes: member.nodes.iter().map(|listed| member_node(node, listed)).collect(),
    });
    members.collect()
}

fn member_node(node: &Node, listed: &membership::MemberNode) -> MemberNode {
    let book = node.membership().known_addresses(&listed.node);
    let record = book.record.map(|stored| stored.record);
    let of_roster = listed.addresses.iter().map(|address| (address, "roster"));
    let since = record
        .iter()
        .flat_map(|record| &record.addresses)
        .map(|address| (address, "node"));
    let reached = book.good.iter().map(|good| (&good.address, "resolver"));
    let mut known: Vec<KnownAddress> = Vec::new();
    for (address, stated_by) in of_roster.chain(since).chain(reached) {
        if known.iter().any(|shown| shown.address == *address) {
            continue;
        }
        let last_good = book.good.iter().find(|good| good.address == *address);
        known.push(KnownAddress {
            address: address.clone(),
            stated_by: stated_by.to_owned(),
            last_good: last_good.map(|good| good.at.to_string()),
        });
    }
    MemberNode {
        node: listed.node,
        addresses: listed.addresses.clone(),
        known,
        record: record.map(|record| AddressRecord {
            number: record.number,
            at: record.at.to_string(),
        }),
    }
}

/// The roster if the change took effect, otherwise the proposal.
pub(super) fn issued(node: &Node, issued: Issued) -> IssuedChange {
    match issued {
        Issued::Active(active) => IssuedChange::Active(roster(node, &active)),
        Issued::Proposed(proposal) => IssuedChange::Proposed(ProposedChange {
            proposal: proposal.armor,
            kind: proposal.kind.to_owned(),
            signatures: proposal.signatures,
            needed: proposal.needed,
        }),
    }
}

/// The member if its admission took effect, otherwise the proposal.
pub(super) fn admitted(
    (issued, institution, fingerprint): (Issued, InstitutionId, String),
    allowed_hosts: Vec<IpAddr>,
) -> Admitted {
    match issued {
        Issued::Active(roster) => Admitted::Active(AdmittedMember {
            number: roster.number(),
            institution,
            fingerprint,
            allowed_hosts,
        }),
        Issued::Proposed(proposal) => Admitted::Proposed(ProposedMember {
            proposal: proposal.armor,
            kind: proposal.kind.to_owned(),
            signatures: proposal.signatures,
            needed: proposal.needed,
            institution,
            fingerprint,
            allowed_hosts,
        }),
    }
}

/// What a document would change.
pub(super) fn review(review: Review) -> DocumentReview {
    DocumentReview {
        kind: review.kind.to_owned(),
        digest: review.digest,
        signatures: review.signatures,
        needed: review.needed,
        changes: review.changes,
    }
}

/// The head that this node's ledger does not extend.
pub(super) fn own_conflict(conflict: &OwnConflict) -> OwnLedgerConflict {
    OwnLedgerConflict {
        head: conflict.signed.digest(),
        signed_entries: conflict.head.tree.size,
        shown_by: conflict.shown_by,
        at: conflict.at.to_string(),
    }
}

/// The start for which peers refuse this node.
pub(super) fn own_start(conflict: &ledger_heads::OwnStartConflict, present: NodeStart) -> OwnStartConflict {
    OwnStartConflict {
        statement: conflict.signed.digest(),
        other: conflict.start.number,
        present: present.number,
        shown_by: conflict.shown_by,
        at: conflict.at.to_string(),
    }
}

/// A node of which a start was refused.
pub(super) fn refused_start(refused: RefusedPeerStart) -> RefusedStart {
    RefusedStart {
        institution: refused.institution,
        node: refused.node,
        served: refused.known,
        refused: refused.shown,
        reason: refused.reason,
        at: refused.at,
    }
}

/// How the ledger of another node contradicts itself.
pub(super) fn peer_conflict(conflict: PeerConflict) -> PeerLedgerConflict {
    PeerLedgerConflict {
        institution: conflict.institution,
        node: conflict.node,
        head: conflict.head,
        known_entries: conflict.known_entries,
        shown_entries: conflict.shown_entries,
        reason: conflict.reason,
        at: conflict.at,
    }
}
