//! `why`: what is known to be missing, then a decision, rule by rule, and what would have to change for a permit. No data is queried.

use concordat_documents::decision::Decision;
use concordat_documents::grant::Grant;
use concordat_documents::problem::Problem;
use concordat_documents::why::{QueryDecision, RecordedDecision, Why, WhyRequest};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{GrantId, QueryId};
use concordat_storage::ledger::StoredEntry;

use super::grants;
use super::run::blocking;
use crate::federation::Question;
use crate::iam::{Action, Actor};
use crate::node::Node;

mod missing;

/// Ledger entries that are searched for a request, from the newest on.
const SEARCHED: u64 = 10_000;

/// Explains a decision. A text with spaces is a query; an id is a request in the ledger, or a grant.
///
/// # Errors
/// `denied` without the role; `not_found` if there is neither such a request nor such a grant.
pub(crate) async fn explain(node: &Node, caller: &Actor, request: WhyRequest) -> Result<Why, Problem> {
    caller.require(Action::ExplainDecision)?;
    if request.subject.trim().contains(char::is_whitespace) {
        return Ok(Why::Query(of_query(node, caller, request).await));
    }
    if let Ok(id) = request.subject.parse::<QueryId>()
        && let Some(decision) = in_ledger(node, id).await?
    {
        return Ok(Why::Recorded(decision));
    }
    match of_grant(node, caller, &request.subject).await {
        Ok(grant) => Ok(Why::Grant(Box::new(grant))),
        Err(problem) if problem.code == ErrorKind::NotFound => {
            Err(problem.help("give a grant, a request id from the ledger, or a complete SELECT in quotes"))
        }
        Err(problem) => Err(problem),
    }
}

async fn of_query(node: &Node, caller: &Actor, request: WhyRequest) -> QueryDecision {
    let WhyRequest { subject, purpose } = request;
    let federation = node.federation();
    let missing = missing::for_query(node, caller, &subject, purpose.as_ref()).await;
    let own = federation.explain_own(caller, &subject, purpose.as_ref()).await;
    let policy = own.map(|explanation| explanation.steps).unwrap_or_default();
    let question = Question {
        sql: subject,
        purpose,
        allow_partial: false,
    };
    match federation.explain(caller, &question).await {
        Ok(mut steps) => {
            steps.push("no local rule forbids it; each provider decides again when it receives the query".to_owned());
            QueryDecision::Permit { missing, steps, policy }
        }
        Err(error) => {
            let problem = Problem::from(error);
            QueryDecision::Deny {
                missing,
                detail: problem.detail,
                reasons: problem.reasons,
                help: problem.help,
                policy,
            }
        }
    }
}

/// The decision about `request` as recorded in the ledger.
async fn in_ledger(node: &Node, request: QueryId) -> Result<Option<RecordedDecision>, Problem> {
    let entries = blocking(node, |node| node.ledger().tail(SEARCHED)).await?;
    Ok(entries.into_iter().rev().find_map(|stored| recorded(stored, request)))
}

/// The decision of an entry, if it is one about `request`.
fn recorded(stored: StoredEntry, request: QueryId) -> Option<RecordedDecision> {
    let entry = stored.entry;
    if let EntryBody::DecisionMade {
        request: of,
        permitted,
        reasons,
        policy,
        grant,
        ..
    } = entry.body
        && of == request
    {
        return Some(RecordedDecision {
            decision: if permitted { Decision::Permit } else { Decision::Deny },
            request,
            grant,
            actor: entry.cause.actor().cloned(),
            at: entry.at.to_string(),
            entry: entry.sequence,
            policy,
            reasons,
        });
    }
    None
}

/// A grant: where the offer is narrower than the request, and its current state. If this institution is the provider, also how its
/// policy decides on the grant today, rule by rule.
async fn of_grant(node: &Node, caller: &Actor, id: &str) -> Result<Grant, Problem> {
    let negotiation = grants::find(node, id).await?;
    let explanation = node.negotiations().explain(&negotiation.id).await?;
    let agreed = node.grants().get(&GrantId::from(negotiation.id)).await;
    Ok(Grant {
        missing: agreed.map_or_else(Vec::new, |grant| missing::for_grant(node, caller, &grant)),
        policy: explanation.map(|explanation| explanation.steps),
        ..grants::document(node, &negotiation).await?
    })
}
