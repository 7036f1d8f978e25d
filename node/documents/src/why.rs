//! Why something is permitted or denied, and what would change it.

use concordat_protocol::ids::{ActorId, Digest32, GrantId, QueryId};
use concordat_protocol::scope::Purpose;
use concordat_protocol::text::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::decision::{Decision, DecisionStep, Missing};
use crate::grant::Grant;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyRequest {
    /// A complete `SELECT`, the id of a request in the ledger, or a grant by its id or a prefix of it.
    pub subject: String,
    /// The purpose of a query; needed if the grants permit several.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
}

/// An explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Why {
    /// What would be decided about a query.
    Query(QueryDecision),
    /// What was decided, as the ledger shows it.
    Recorded(RecordedDecision),
    /// A grant: where the offer is narrower than the request, and, at its provider, how the policy decides on it today.
    Grant(Box<Grant>),
}

/// What would be decided about a query. None is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "decision", rename_all = "kebab-case", deny_unknown_fields)]
pub enum QueryDecision {
    /// It is permitted here; each provider decides again when it receives the query.
    Permit {
        /// What this node knows to be missing nevertheless, for example a connection with a holder.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<Missing>,
        /// What would be done, one sentence each.
        steps: Vec<String>,
        /// How the policy of this institution decides on those tables that are its own.
        policy: Vec<DecisionStep>,
    },
    /// It is denied here.
    Deny {
        /// What this node knows to be missing, whatever a policy decides.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<Missing>,
        /// What would happen.
        detail: String,
        /// Why, one reason each.
        reasons: Vec<String>,
        /// What to do.
        help: Option<String>,
        /// How the policy of this institution decides on those tables that are its own.
        policy: Vec<DecisionStep>,
    },
}

/// A decision in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedDecision {
    /// What was decided.
    pub decision: Decision,
    /// The request.
    #[schema(value_type = String)]
    pub request: QueryId,
    /// The grant it was made under.
    #[schema(value_type = Option<String>)]
    pub grant: Option<GrantId>,
    /// Who made it.
    #[schema(value_type = Option<String>)]
    pub actor: Option<ActorId>,
    /// When it was decided.
    #[schema(format = DateTime)]
    pub at: String,
    /// The number of the entry.
    pub entry: u64,
    /// Digest of the policies that decided.
    #[schema(value_type = String)]
    pub policy: Digest32,
    /// Why, one reason each.
    #[schema(value_type = Vec<String>)]
    pub reasons: Vec<Reason>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Each answer has keys that no other has, so that a reader finds the one that was meant.
    #[test]
    fn each_explanation_is_read_as_what_it_is() {
        let permitted = json!({ "decision": "permit", "steps": ["a"], "policy": [] });
        let denied = json!({ "decision": "deny", "detail": "d", "reasons": [], "help": null, "policy": [] });
        let recorded = json!({
            "decision": "permit",
            "request": QueryId::from_bytes([1; 16]),
            "grant": null,
            "actor": null,
            "at": "2027-01-31T00:00:00Z",
            "entry": 7,
            "policy": Digest32::ZERO,
            "reasons": ["r"],
        });
        assert!(matches!(read(&permitted), Why::Query(QueryDecision::Permit { .. })));
        assert!(matches!(read(&denied), Why::Query(QueryDecision::Deny { .. })));
        assert!(matches!(read(&recorded), Why::Recorded(_)));
        for document in [permitted, denied, recorded] {
            assert_eq!(serde_json::to_value(read(&document)).unwrap(), document);
        }
    }

    fn read(document: &Value) -> Why {
        serde_json::from_value(document.clone()).unwrap()
    }
}
