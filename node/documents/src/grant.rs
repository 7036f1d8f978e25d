//! Negotiations and grants: one document, because a grant results from a negotiation and keeps its id.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use concordat_protocol::grant::Party;
use concordat_protocol::ids::{
    ActorId, ColumnName, DatasetName, DatasetRef, Digest32, InstitutionId, NegotiationId, SelectedColumn,
};
use concordat_protocol::negotiation::{Justification, RuleName};
use concordat_protocol::scope::{FiguresWithNoise, Part, ProtectionName, Purpose, Tier};
use concordat_protocol::text::Reason;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::decision::{DecisionStep, Missing};

/// Which negotiations and grants are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct GrantListQuery {
    /// The `next` of the page before; the first page without it.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub after: Option<String>,
    /// `true` for those, too, that have ended: rejected, revoked, relinquished or expired.
    #[serde(default)]
    pub all: bool,
}

/// A page of the list of negotiations and grants, in the order in which they began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantPage {
    /// The negotiations and grants of this page: at most 50.
    pub items: Vec<GrantSummary>,
    /// How many on this page have ended and are left out.
    pub ended: u64,
    /// The `after` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// A negotiation or grant in a list, without what can be long: its columns, conditions and narrowings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantSummary {
    /// Its id.
    #[schema(value_type = String)]
    pub id: NegotiationId,
    /// Its state.
    pub state: GrantState,
    /// The side that this institution is on: `provider` or `consumer`.
    #[schema(value_type = String)]
    pub side: Party,
    /// The other institution.
    #[schema(value_type = String)]
    pub peer: InstitutionId,
    /// When the negotiation began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// The institution that holds the dataset.
    #[schema(value_type = String)]
    pub provider: InstitutionId,
    /// The institution that may query it.
    #[schema(value_type = String)]
    pub consumer: InstitutionId,
    /// The dataset, at its provider, or the collection with the datasets.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// How much an answer may reveal.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// From when it can be used.
    #[schema(format = DateTime)]
    pub not_before: String,
    /// Until when it can be used.
    #[schema(format = DateTime)]
    pub not_after: String,
}

/// A negotiation, and the grant that resulted from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its id.
    #[schema(value_type = String)]
    pub id: NegotiationId,
    /// Its state.
    pub state: GrantState,
    /// The side that this institution is on: `provider` or `consumer`.
    #[schema(value_type = String)]
    pub side: Party,
    /// The other institution.
    #[schema(value_type = String)]
    pub peer: InstitutionId,
    /// The fingerprint of the key of the other institution, to which the grant belongs.
    pub peer_fingerprint: String,
    /// When the negotiation began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// Digest of the last message.
    #[schema(value_type = String)]
    pub transcript_head: Digest32,
    /// The sides that have signed the terms.
    #[schema(value_type = Vec<String>)]
    pub signed_by: Vec<Party>,
    /// The number of the terms; 0 as long as there is no grant.
    pub revision: u32,
    /// Where the newest offer is narrower than the request.
    pub narrowings: Vec<GrantNarrowing>,
    /// The institution that holds the dataset.
    #[schema(value_type = String)]
    pub provider: InstitutionId,
    /// The institution that may query it.
    #[schema(value_type = String)]
    pub consumer: InstitutionId,
    /// The dataset, at its provider, or the collection with the datasets.
    #[schema(value_type = String)]
    pub dataset: DatasetName,
    /// The datasets of the collection; absent for a dataset alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<GrantDataset>,
    /// How much an answer may reveal.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// How figures are protected, as text; absent at tier `records`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<String>,
    /// The columns.
    pub columns: Vec<GrantColumn>,
    /// Which rows, as text.
    pub rows: String,
    /// The purposes.
    #[schema(value_type = Vec<String>)]
    pub purposes: Vec<Purpose>,
    /// Which people at the consumer, as text.
    pub people: String,
    /// The jurisdictions in which an answer may be received, as text.
    pub places: String,
    /// From when it can be used.
    #[schema(format = DateTime)]
    pub not_before: String,
    /// Until when it can be used.
    #[schema(format = DateTime)]
    pub not_after: String,
    /// How much, and in how much detail.
    pub limits: GrantLimits,
    /// Why it was changed or ended; absent if no reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
    /// Whether the other side has acknowledged the change; only in the response to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<bool>,
    /// What this node knows to be missing for queries under it; only in the response to `why`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// How the policy of this institution decides on it today; only in the response to `why`, and only at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Vec<DecisionStep>>,
}

/// The state of a negotiation, or of the grant that resulted from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantState {
    /// The consumer has sent a request.
    Requested,
    /// The provider has sent an offer.
    Offered,
    /// The consumer has accepted the offer.
    Accepted,
    /// The provider has signed the terms.
    Agreed,
    /// The consumer has signed the terms too.
    Verified,
    /// The provider has confirmed the grant, which is not in use here yet.
    Finalized,
    /// One side has ended the negotiation; there is no grant.
    Terminated,
    /// The time of the grant has not begun.
    NotYet,
    /// The grant may be used.
    Active,
    /// The provider has suspended the grant.
    Suspended,
    /// The provider has revoked the grant.
    Revoked,
    /// The consumer has given up the grant.
    Relinquished,
    /// The time of the grant is over.
    Expired,
}

impl GrantState {
    /// Whether nothing more comes of it: no grant, and no use of one.
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Terminated | Self::Revoked | Self::Relinquished | Self::Expired => true,
            Self::Requested
            | Self::Offered
            | Self::Accepted
            | Self::Agreed
            | Self::Verified
            | Self::Finalized
            | Self::NotYet
            | Self::Active
            | Self::Suspended => false,
        }
    }
}

impl fmt::Display for GrantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
            Self::NotYet => "NOT_YET",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Revoked => "REVOKED",
            Self::Relinquished => "RELINQUISHED",
            Self::Expired => "EXPIRED",
        })
    }
}

/// A difference between a request and the offer, and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantNarrowing {
    /// The part of the terms that differs, for example `columns`.
    #[schema(value_type = String)]
    pub part: Part,
    /// What was requested.
    pub requested: String,
    /// What is offered instead.
    pub offered: String,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Reason,
    /// The policy rule behind it.
    #[schema(value_type = Option<String>)]
    pub rule: Option<RuleName>,
}

/// A dataset of a collection that a grant is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantDataset {
    /// Its name.
    #[schema(value_type = String)]
    pub name: DatasetName,
    /// Which of its rows, as text.
    pub rows: String,
}

/// A column of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantColumn {
    /// The dataset of a collection that it belongs to; absent for a dataset alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dataset: Option<DatasetName>,
    /// Its name.
    #[schema(value_type = String)]
    pub name: ColumnName,
    /// How it is changed before it leaves, as text.
    pub transform: String,
}

/// The limits of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantLimits {
    /// Most rows in one answer; `null` for any number.
    pub max_rows: Option<u64>,
    /// Most queries in 24 hours; `null` for any number.
    pub max_queries_per_day: Option<u32>,
    /// Most cells of an answer at the tiers below records; absent if the grant sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cells: Option<u32>,
    /// Most sets of subjects that all answers at the tiers below records distinguish; absent if the grant sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinctions: Option<u32>,
    /// Most figures that are protected as `perturbed`, for the institution and the collection; absent if noise is not for a number of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures_with_noise: Option<u8>,
    /// Fewest subjects behind a released cell at the tiers below records.
    pub min_cell: u32,
}

/// The messages of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// The negotiation.
    #[schema(value_type = String)]
    pub id: NegotiationId,
    /// Digest of the last message.
    #[schema(value_type = String)]
    pub head: Digest32,
    /// Every message, in order.
    pub messages: Vec<TranscriptMessage>,
}

/// A message of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TranscriptMessage {
    /// Its number, from 1.
    pub sequence: u32,
    /// The institution that sent it.
    #[schema(value_type = String)]
    pub from: InstitutionId,
    /// Its kind, for example `offer`.
    pub kind: String,
    /// When it was signed.
    #[schema(format = DateTime)]
    pub sent_at: String,
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest32,
    /// Digest of the message before it; `null` in the first.
    #[schema(value_type = Option<String>)]
    pub previous: Option<Digest32>,
    /// What it means, in one line.
    pub summary: String,
}

/// A request for a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// The dataset alone, or the collection: an object with its institution and its name. With `collection` beside it, one dataset of that
    /// collection.
    #[schema(value_type = Object)]
    pub dataset: DatasetRef,
    /// What is requested of it.
    pub request: RequestedTerms,
    /// Why, in a sentence for the steward.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2000)]
    pub justification: Option<Justification>,
}

/// What is requested. Whatever is omitted is requested as wide as possible: all datasets, all columns in clear, all rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedTerms {
    /// How much an answer may reveal: `exists`, `count`, `aggregate` or `records`, the default.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub tier: Option<Tier>,
    /// How figures below `records` are protected at least: `exact`, the default, `perturbed` or `private`. The policy of the holder can
    /// protect them more, and states the noise or the loss.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub protection: Option<ProtectionName>,
    /// The datasets of the collection; by default those of which a column is requested.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub datasets: Option<BTreeSet<DatasetName>>,
    /// The columns, for example `age` or `person.age`; all by default. Without a dataset it is the column of each dataset that has it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub columns: Option<BTreeSet<SelectedColumn>>,
    /// A condition on rows, as SQL. A comparison is about the rows of its dataset, which it names if several have the column.
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
    /// The purposes.
    #[schema(value_type = Vec<String>)]
    pub purposes: BTreeSet<Purpose>,
    /// The end: a date, which is meant whole, in UTC or with an offset (`2027-06-30+02:00`), or a time.
    pub until: String,
    /// Who may use it; everyone with the role by default.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub people: Option<BTreeSet<ActorId>>,
}

/// How an offer narrows what the policy allows. What is omitted stays as the policy allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OfferTerms {
    /// The highest tier.
    #[schema(value_type = Option<String>)]
    pub tier: Option<Tier>,
    /// How figures below `records` are protected at least: `exact`, `perturbed` or `private`.
    #[schema(value_type = Option<String>)]
    pub protection: Option<ProtectionName>,
    /// The datasets of the collection; no others are offered.
    #[schema(value_type = Option<Vec<String>>)]
    pub datasets: Option<BTreeSet<DatasetName>>,
    /// The columns, for example `age` or `person.age`; no others are offered.
    #[schema(value_type = Option<Vec<String>>)]
    pub columns: Option<BTreeSet<SelectedColumn>>,
    /// A condition on rows, as SQL; it is combined with that of the request.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// The end: a date, which is meant whole, in UTC or with an offset (`2027-06-30+02:00`), or a time.
    pub until: Option<String>,
    /// The people at the consumer who may use it.
    #[schema(value_type = Option<Vec<String>>)]
    pub people: Option<BTreeSet<ActorId>>,
    /// Limits.
    pub limits: OfferLimits,
    /// How some columns are shown: `clear`, `year`, `band:5`, `band:10`, `pseudonym` or `removed`.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub transforms: BTreeMap<SelectedColumn, String>,
}

/// Limits that a steward sets for one grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OfferLimits {
    /// Most rows in one answer.
    pub max_rows: Option<u64>,
    /// Most queries in 24 hours.
    pub queries_per_day: Option<u32>,
    /// Fewest subjects behind a released cell.
    pub min_cell: Option<u32>,
    /// Most cells of one answer below `records`.
    pub max_cells: Option<u32>,
    /// Most sets of subjects, none of which follows from others, that answers below `records` distinguish.
    pub distinctions: Option<u32>,
    /// Most figures that are protected as `perturbed`, which they are then: 1 to 64, and not more than the policy set states.
    #[schema(value_type = Option<u8>)]
    pub figures_with_noise: Option<FiguresWithNoise>,
}

/// Why a negotiation is ended, or a grant is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantChange {
    /// The reason, for the other side and the ledger.
    #[schema(value_type = String)]
    pub reason: Reason,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_grant_state_is_its_text_in_documents() {
        for state in [
            GrantState::Requested,
            GrantState::Offered,
            GrantState::Accepted,
            GrantState::Agreed,
            GrantState::Verified,
            GrantState::Finalized,
            GrantState::Terminated,
            GrantState::NotYet,
            GrantState::Active,
            GrantState::Suspended,
            GrantState::Revoked,
            GrantState::Relinquished,
            GrantState::Expired,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.to_string());
        }
    }
}
