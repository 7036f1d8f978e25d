//! How a query under a grant would be decided, before it is sent.

use serde::{Deserialize, Serialize};

use super::{Refusal, SMALL_FRAME};
use crate::ids::GrantId;
use crate::query::ActorAssertion;
use crate::schema::VersionNumber;
use crate::scope::{Limits, Protection, Purpose, Tier};
use crate::signed::Signed;
use crate::wire::codec::Frame;

/// Requests the decision about a query that is not sent. The holder reads no row for it, enters no decision, and counts no query.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstimateRequest {
    /// The grant, of which the caller is the consumer.
    pub grant: GrantId,
    /// Who would send the query; nested bytes as signed. It names a query that is never sent.
    pub actor: Signed<ActorAssertion>,
    /// What for.
    pub purpose: Purpose,
    /// The version of the dataset that the query would name; `None` for the current one.
    pub version: Option<VersionNumber>,
    /// The length of its text, in bytes: the texts of a day are limited.
    pub sql_bytes: u32,
}

impl Frame for EstimateRequest {
    const MAX: usize = SMALL_FRAME;
}

/// The decision at this moment; another one may be made about the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EstimateReply {
    /// The query would be answered under these terms, if its text is valid.
    Permitted(EstimatedTerms),
    /// It would be refused, for these reasons.
    Refused(Refusal),
}

impl Frame for EstimateReply {
    const MAX: usize = SMALL_FRAME;
}

/// The terms under which a query would be answered. INVARIANT: no figure in them depends on data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstimatedTerms {
    /// How much the answer may reveal.
    pub tier: Tier,
    /// How its figures are protected below tier `records`.
    pub protection: Protection,
    /// Its limits, as agreed or as policies have narrowed them since.
    pub limits: Limits,
    /// How many more queries the holder answers today: the fewest that are left under the grant, and below tier `records` to the person and to
    /// the person's institution. `None` if they are not limited.
    pub queries_left: Option<u32>,
    /// How much of the noise below tier `records` is used; `None` if it is not limited, and if that is not known in time.
    pub noise: Option<NoiseBudget>,
}

/// What the consumer's institution may be answered about a collection with noise. It follows from the queries that it has sent, of all its people and
/// under all its grants. Perturbed figures are counted in figures, private ones in millionths of `rho`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseBudget {
    /// How much all queries may use.
    pub allowed: u64,
    /// How much those before used.
    pub used: u64,
    /// How much further ones may use: less than the difference if figures before had less noise.
    pub left: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{HEADER_LEN, decode, encode};

    fn terms() -> EstimatedTerms {
        EstimatedTerms {
            tier: Tier::Aggregate,
            protection: Protection::Exact,
            limits: Limits::default(),
            queries_left: None,
            noise: None,
        }
    }

    #[test]
    fn estimate_reply_survives_encoding() {
        let noise = NoiseBudget {
            allowed: 32,
            used: 5,
            left: 27,
        };
        for (left, noise) in [(None, None), (Some(0), Some(noise)), (Some(u32::MAX), None)] {
            let reply = EstimateReply::Permitted(EstimatedTerms {
                queries_left: left,
                noise,
                ..terms()
            });
            let frame = encode(&reply).unwrap();
            assert_eq!(decode::<EstimateReply>(&frame[HEADER_LEN..]), Ok(reply));
        }
    }

    /// Terms have no field for a figure about data: a new one is a decision.
    #[test]
    fn estimate_terms_have_these_fields_and_no_others() {
        let encoded = ciborium::Value::serialized(&terms()).unwrap();
        let fields: Vec<&str> = encoded
            .as_map()
            .unwrap()
            .iter()
            .map(|(key, _)| key.as_text().unwrap())
            .collect();
        assert_eq!(fields, ["tier", "protection", "limits", "queries_left", "noise"]);
    }
}
