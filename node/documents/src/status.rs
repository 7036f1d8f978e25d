//! What is running and who is connected.

use concordat_protocol::ids::{Digest32, InstitutionId, Jurisdiction, NodeId};
use concordat_protocol::scope::{ProtectionName, Tier};
use concordat_protocol::text::LegalName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The node as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The institution.
    #[schema(value_type = String, example = "cleveland")]
    pub institution: InstitutionId,
    /// Its legal name.
    #[schema(value_type = String)]
    pub name: LegalName,
    /// Its jurisdiction (ISO 3166-1 alpha-2).
    #[schema(value_type = String, example = "US")]
    pub jurisdiction: Jurisdiction,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Fingerprint of the institution's key, to be compared by telephone.
    pub fingerprint: String,
    /// The version of the program.
    pub version: String,
    /// Whether a request would be served now.
    pub ready: bool,
    /// Why it is not ready; empty if it is.
    pub reasons: Vec<String>,
    /// The addresses on which the node listens (libp2p multiaddresses).
    pub listen: Vec<String>,
    /// The newest roster; `null` without a consortium.
    pub roster: Option<RosterStatus>,
    /// The current policy set.
    pub policy: Option<PolicyStatus>,
    /// Entries of the ledger.
    pub ledger_entries: u64,
    /// How far the ledger has been verified since the start; absent once it is completely verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_verification: Option<LedgerVerification>,
    /// Connected peers.
    pub connected: usize,
    /// Who is connected; only for logged-in users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<PeerStatus>>,
    /// Peers whose hello was rejected, and why; only for logged-in users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected_peers: Vec<RejectedPeer>,
    /// What this node announces that it enforces below tier `records`; only for logged-in users, and absent before it has announced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<AnnouncedRules>,
    /// What peers announce that they enforce there, also those that are not connected; only for logged-in users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer_rules: Vec<PeerRules>,
    /// What a person must investigate: ledgers that contradict what their nodes have signed, keys that were not compared, grants that a
    /// restore has suspended or about which the other side states something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// The node's clock.
    #[schema(format = DateTime)]
    pub time: String,
    /// How far the clock was from the newest entry of the ledger when the node started; absent if it was a day or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStatus>,
}

/// The verification of the ledger since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerVerification {
    /// Whether it failed, so that the ledger is not used; otherwise it is not finished.
    pub failed: bool,
    /// How far it is, or what was found.
    pub note: String,
}

/// A clock that is far from the newest entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockStatus {
    /// Whether the clock was before that entry: then one of the two times is wrong.
    pub before: bool,
    /// Both times, and how far they are apart.
    pub note: String,
}

/// The newest roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RosterStatus {
    /// Its number.
    pub number: u64,
    /// When it expires.
    #[schema(format = DateTime)]
    pub expires: String,
    /// How many other institutions are active members.
    pub other_members: usize,
    /// Whose signatures change the roster.
    pub charter: CharterStatus,
    /// A roster with valid signatures that was refused; absent once a newer one has been accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRoster>,
}

/// Whose signatures change the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CharterStatus {
    /// How many signatures are required.
    pub threshold: u8,
    /// Fingerprints of the keys.
    pub keys: Vec<String>,
    /// What that means.
    pub note: String,
}

/// A roster that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedRoster {
    /// Its number.
    pub number: u64,
    /// Why it was refused.
    pub reason: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// The current policy set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyStatus {
    /// Its number.
    pub number: u64,
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest32,
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerStatus {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// `null` until the peer has sent its hello.
    #[schema(value_type = Option<String>)]
    pub institution: Option<InstitutionId>,
}

/// What a node announces that it enforces below tier `records`: what it states about itself, which nothing proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnouncedRules {
    /// The version of its program.
    pub version: String,
    /// The digest of its policy set.
    #[schema(value_type = String)]
    pub policy: Digest32,
    /// Its rules at each of the tiers, for all published collections.
    pub tiers: Vec<RulesAtTier>,
}

/// What a node announces that it enforces at one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesAtTier {
    /// The tier.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// Fewest subjects behind a released cell.
    pub min_cell: u32,
    /// The protections that answers can have.
    #[schema(value_type = Vec<String>)]
    pub protections: Vec<ProtectionName>,
    /// Most queries of one grant in 24 hours.
    pub queries_per_day: u32,
    /// Longest duration of a grant, in days.
    pub days: u16,
}

/// What a peer announces that it enforces below tier `records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerRules {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// What it announces.
    pub rules: AnnouncedRules,
    /// When it first announced these rules here.
    #[schema(format = DateTime)]
    pub received: String,
    /// What protects less than before, for 30 days; absent if nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weaker: Vec<String>,
    /// When its answers about generated data were last compared with what it announces; absent if they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub probed: Option<String>,
    /// In what they were not as it announces; absent if they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<String>,
}

/// A peer whose hello was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectedPeer {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// `null` if the roster no longer lists the node.
    #[schema(value_type = Option<String>)]
    pub institution: Option<InstitutionId>,
    /// Why.
    pub reason: String,
    /// Whether a wrong clock, here or at the peer, is the likely cause.
    pub clock: bool,
}
