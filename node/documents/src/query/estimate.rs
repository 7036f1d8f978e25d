//! What a query would do, before it is sent.

use concordat_protocol::ids::{GrantId, InstitutionId};
use concordat_protocol::scope::{Purpose, Tier};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AnswerRemark;
use crate::decision::Decision;

/// What a query would do, cost and show. It was not sent, and no row was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryEstimate {
    /// Whether each holder would answer its part now, and none would be missing, unless the query permits that.
    pub decision: Decision,
    /// What each holder would be queried for.
    pub parts: Vec<EstimatedPart>,
    /// What would be missing from the answer or changed in it.
    pub remarks: Vec<AnswerRemark>,
    /// About how many bytes would be transferred; `null` if that is not known of a part.
    pub about_bytes: Option<u64>,
    /// What would be done, one sentence each.
    pub steps: Vec<String>,
}

/// One query that a holder would get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EstimatedPart {
    /// The holder.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The datasets that it would read, as queries name them.
    pub datasets: Vec<String>,
    /// The grant; `null` for a dataset of the own institution.
    #[schema(value_type = Option<String>)]
    pub grant: Option<GrantId>,
    /// What for.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// How much the answer could reveal.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// The text; `null` if records are read whose columns and conditions are decided when they are.
    pub sql: Option<String>,
    /// Whether the holder would answer it now.
    pub decision: Decision,
    /// Why it would not, one reason each.
    pub reasons: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// How the figures would be protected; `null` at tier `records`, and if it would be refused.
    pub protection: Option<String>,
    /// What the rules of the holder leave out or change, one sentence each, whatever the data are.
    pub suppressed: Vec<String>,
    /// How many more queries the holder answers today, before this one; `null` if they are not limited, and if it would be refused.
    pub queries_left: Option<u32>,
    /// How much of the noise your institution may use for the collection, and how much the query would use; `null` if that is not limited, or not
    /// known.
    pub noise: Option<EstimatedNoise>,
    /// About how many rows the holder would read, by its catalog; `null` if it lists none.
    pub about_rows_read: Option<u64>,
    /// About how many rows the answer would have at most; `null` if nothing limits them.
    pub about_rows: Option<u64>,
    /// About how many bytes the answer would have at most; `null` as for its rows.
    pub about_bytes: Option<u64>,
    /// In about how many milliseconds the holder would have answered at most: 32, or twice, four times and so on; `null` as for its rows.
    pub about_ms: Option<u64>,
}

/// How much of the noise for an institution and a collection is used, by all its people and under all its grants. A query that was answered is answered again
/// and uses none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EstimatedNoise {
    /// What is counted.
    pub unit: NoiseUnit,
    /// How much all queries may use.
    pub allowed: u64,
    /// How much those before used.
    pub used: u64,
    /// How much further ones may use: less than the difference if figures before had less noise.
    pub left: u64,
    /// How much this part of the query would use; `null` if that is not known before it is sent.
    pub query: Option<u64>,
}

/// What a budget of noise counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseUnit {
    /// Figures with noise, each for all of its groups.
    Figures,
    /// Millionths of `rho`, the loss of privacy.
    MillionthsOfRho,
}
