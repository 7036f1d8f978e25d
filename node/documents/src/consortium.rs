//! The consortium: its roster, its charter, its members, and ledgers that contradict what their nodes have signed (`conflicts`).
//!
//! A change of the roster takes effect at once if this institution alone may sign it. Otherwise it is a proposal: a file that goes from
//! holder to holder of the charter. [`IssuedChange`] and [`Admitted`] are either of the two.

mod conflicts;

use std::net::IpAddr;

use concordat_protocol::ids::{Digest32, InstitutionId, Jurisdiction, NodeId};
use concordat_protocol::membership::MemberStatus;
use concordat_protocol::text::{Address, ConsortiumName, LegalName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use conflicts::{
    LedgerConflicts, LedgerGeneration, OwnLedgerConflict, OwnLedgerHead, OwnStartConflict, PeerLedgerConflict,
    PeerLedgerHead, RefusedStart,
};

/// A consortium to found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsortium {
    /// Its name.
    #[schema(value_type = String, max_length = 100)]
    pub name: ConsortiumName,
}

/// A signed file: its bytes, or its text as it is mailed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileContent {
    /// The content of the file, as base64.
    pub file: String,
}

/// The application of an institution to join, or its newer statement of its nodes and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The signed application, as text that can be mailed.
    pub armor: String,
}

/// An application to admit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The application, as base64.
    pub file: String,
    /// Hosts of the applicant that may be dialed from now on although no range in the configuration covers them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub allow_hosts: Vec<IpAddr>,
    /// Whether the applicant is a member that has lost its key.
    #[serde(default)]
    pub replace_key: bool,
}

/// The outcome of an admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Admitted {
    /// The applicant is a member.
    Active(AdmittedMember),
    /// Other holders of the charter have to sign the roster that lists it.
    Proposed(ProposedMember),
}

/// A member that was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmittedMember {
    /// The number of the roster that lists it.
    pub number: u64,
    /// Its short id.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The fingerprint of its key, to be compared by telephone.
    pub fingerprint: String,
    /// Hosts that were named to be dialed from now on.
    #[schema(value_type = Vec<String>)]
    pub allowed_hosts: Vec<IpAddr>,
}

/// An applicant whose admission other holders of the charter have to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedMember {
    /// The document with the signatures so far, as text that can be mailed.
    pub proposal: String,
    /// The kind of document: `roster` or `charter`.
    pub kind: String,
    /// How many holders have signed.
    pub signatures: usize,
    /// How many have to sign.
    pub needed: u8,
    /// Its short id.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The fingerprint of its key, to be compared by telephone.
    pub fingerprint: String,
    /// Hosts that were named to be dialed from now on.
    #[schema(value_type = Vec<String>)]
    pub allowed_hosts: Vec<IpAddr>,
}

/// The confirmation of a key that the holders of the charter replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfirmation {
    /// The complete fingerprint, as the institution has read it out.
    pub fingerprint: String,
}

/// A key that was confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmedKey {
    /// The institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The fingerprint of its key.
    pub fingerprint: String,
}

/// A charter that replaces the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCharter {
    /// How many of its holders have to sign a change.
    pub threshold: u8,
    /// The members that hold its keys.
    #[schema(value_type = Vec<String>)]
    pub holders: Vec<InstitutionId>,
}

/// A document to sign, and the digest under which it was reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureRequest {
    /// The document, as base64.
    pub file: String,
    /// Its digest, as the review shows it.
    #[schema(value_type = String)]
    pub expect: Digest32,
}

/// What a document would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentReview {
    /// The kind of document: `roster` or `charter`.
    pub kind: String,
    /// Its digest without its signatures; it is named when the document is signed.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// How many holders have signed.
    pub signatures: usize,
    /// How many have to sign.
    pub needed: u8,
    /// Each difference from the state of this node, as a sentence.
    pub changes: Vec<String>,
}

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum IssuedChange {
    /// It has taken effect: the roster that contains it.
    Active(Roster),
    /// Other holders of the charter have to sign it.
    Proposed(ProposedChange),
}

/// A document that other holders of the charter have to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedChange {
    /// The document with the signatures so far, as text that can be mailed.
    pub proposal: String,
    /// The kind of document: `roster` or `charter`.
    pub kind: String,
    /// How many holders have signed.
    pub signatures: usize,
    /// How many have to sign.
    pub needed: u8,
}

/// A roster, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The name of the consortium.
    #[schema(value_type = String, max_length = 100)]
    pub consortium: ConsortiumName,
    /// Its number.
    pub number: u64,
    /// When it was signed.
    #[schema(format = DateTime)]
    pub issued_at: String,
    /// When it expires.
    #[schema(format = DateTime)]
    pub not_after: String,
    /// Whether it is valid now.
    pub valid: bool,
    /// What the charter means, as a sentence.
    pub charter: String,
    /// How many holders of the charter have to sign a change.
    pub charter_threshold: u8,
    /// The fingerprints of the keys of the charter, separated by commas.
    pub charter_fingerprint: String,
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Addresses of members that this node does not dial.
    pub not_dialed: Vec<AddressNotDialed>,
    /// The members.
    pub members: Vec<Member>,
    /// The signed roster, as text that can be mailed; absent in the response to a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armor: Option<String>,
}

/// An address of a member that this node does not dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressNotDialed {
    /// The member that states it.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The address (a libp2p multiaddress).
    #[schema(value_type = String)]
    pub address: Address,
    /// Why it is not dialed.
    pub reason: String,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its short id.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// Its legal name.
    #[schema(value_type = String)]
    pub name: LegalName,
    /// Its jurisdiction (ISO 3166-1 alpha-2).
    #[schema(value_type = String)]
    pub jurisdiction: Jurisdiction,
    /// Whether it is active: `active`, `suspended` or `removed`.
    #[schema(value_type = String)]
    pub status: MemberStatus,
    /// The fingerprint of its key.
    pub fingerprint: String,
    /// The fingerprints of the keys that it had before, the oldest first.
    pub earlier_fingerprints: Vec<String>,
    /// The number of the roster that admitted it.
    pub since: u64,
    /// When it made its statement about itself.
    #[schema(format = DateTime)]
    pub stated_at: String,
    /// Whether one of its nodes is connected, or is this node.
    pub connected: bool,
    /// Its nodes.
    pub nodes: Vec<MemberNode>,
}

/// A node of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberNode {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Where it can be reached, as the roster states it (libp2p multiaddresses).
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<Address>,
    /// All addresses at which this node dials it, in the order in which they are tried, and at which it was reached.
    pub known: Vec<KnownAddress>,
    /// What the node itself has stated since; `null` if it has not.
    pub record: Option<AddressRecord>,
}

/// An address of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownAddress {
    /// The address (a libp2p multiaddress).
    #[schema(value_type = String)]
    pub address: Address,
    /// Who states it: `roster`, `node` (since the roster, signed), or `resolver` for what a host name has become.
    pub stated_by: String,
    /// When this node last reached it there, and it completed its hello; `null` if this node has not, because the other one has dialed.
    #[schema(format = DateTime)]
    pub last_good: Option<String>,
}

/// The newest record of addresses that a node has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressRecord {
    /// Its number.
    pub number: u64,
    /// When the node signed it.
    #[schema(format = DateTime)]
    pub at: String,
}
