//! Negotiations and grants: one list, because a grant results from a negotiation and keeps its id.

mod view;

use std::time::Duration;

use concordat_documents::grant::{Grant, GrantChange, GrantListQuery, GrantPage, GrantRequest, OfferTerms, Transcript};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::grant::{GrantEvent, Party};
use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::Justification;
use concordat_protocol::wire::messages::CatalogDataset;
use concordat_storage::ledger::Attribution;

use self::view::{request_of, restriction};
use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::negotiation::{ListPosition, NegotiationView, RowCondition};
use crate::node::Node;

/// How long a step waits for the automatic steps that follow it.
const AUTOMATIC_STEPS_TIMEOUT: Duration = Duration::from_secs(5);

/// Most negotiations and grants in one response.
const PAGE: usize = 50;

/// A page of the negotiations and grants.
///
/// # Errors
/// `usage` if `after` is not the `next` of a page; `denied` without the role; `internal` or `integrity` if the state cannot be read. The last two for all
/// functions of this file.
pub(crate) async fn list(node: &Node, caller: &Actor, query: GrantListQuery) -> Result<GrantPage, Problem> {
    caller.require(Action::ReadGrants)?;
    let GrantListQuery { after, all } = query;
    let after = after.as_deref().map(position).transpose()?;
    // There can be very many of them: each costs its holder little.
    blocking(node, move |node| Ok::<_, Problem>(page(node, after, all))).await
}

fn position(text: &str) -> Result<ListPosition, Problem> {
    ListPosition::parse(text).ok_or_else(|| {
        Problem::usage("`after` must be the `next` of the page before")
            .at(Some("after".to_owned()))
            .help("begin without `after`")
    })
}

/// The page after `after`, of those that have not ended, or of `all`.
fn page(node: &Node, after: Option<ListPosition>, all: bool) -> GrantPage {
    let now = node.clock().now();
    let mut page = GrantPage {
        items: Vec::new(),
        ended: 0,
        next: None,
    };
    let mut last = None;
    for summary in node.negotiations().summaries(after) {
        if page.items.len() >= PAGE {
            page.next = last.map(|last: ListPosition| last.to_string());
            break;
        }
        last = Some(summary.position);
        let grant = node.grants().effective(&GrantId::from(summary.position.id), now);
        let listed = view::listed(summary, grant);
        if all || !listed.state.has_ended() {
            page.items.push(listed);
        } else {
            page.ended = page.ended.saturating_add(1);
        }
    }
    page
}

/// A negotiation and its grant.
///
/// # Errors
/// `not_found` if there is none. So for all functions that name one.
pub(crate) async fn show(node: &Node, caller: &Actor, id: String) -> Result<Grant, Problem> {
    caller.require(Action::ReadGrants)?;
    document(node, &find(node, &id).await?).await
}

/// The messages of a negotiation.
///
/// # Errors
/// As [`show`].
pub(crate) async fn transcript(node: &Node, caller: &Actor, id: String) -> Result<Transcript, Problem> {
    caller.require(Action::ReadGrants)?;
    Ok(view::transcript(&find(node, &id).await?))
}

/// Requests a grant.
///
/// # Errors
/// `not_found` if the collection, a dataset or a column is not in the catalog of its holder; `usage` if it cannot be requested so.
pub(crate) async fn request(node: &Node, caller: &Actor, new: GrantRequest) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::RequestGrant)?;
    let GrantRequest {
        dataset,
        request,
        justification,
    } = new;
    let condition = row_condition(node, caller, request.condition.as_deref()).await?;
    let now = node.clock().now();
    let known = node.federation().collection_of(&dataset.collection()).await?;
    let listed: Vec<CatalogDataset> = known.into_iter().map(|known| known.listed).collect();
    let jurisdiction = node.identity().jurisdiction.clone();
    let scope = request_of(request, condition).into_scope(&dataset, &listed, jurisdiction, now)?;
    let justification = justification.unwrap_or_else(|| Justification::sanitized("not stated"));
    let negotiation = node.negotiations().request(scope, justification, &by).await?;
    document(node, &negotiation).await
}

/// The row condition that the caller has written, read in a process.
async fn row_condition(node: &Node, caller: &Actor, text: Option<&str>) -> Result<Option<RowCondition>, Problem> {
    match text {
        Some(text) => Ok(Some(node.federation().row_condition(caller, text).await?)),
        None => Ok(None),
    }
}

/// Makes an offer, at most what the policy allows.
///
/// # Errors
/// `denied` if the policy allows nothing of the request, or less than is offered.
pub(crate) async fn offer(node: &Node, caller: &Actor, id: String, terms: OfferTerms) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::AnswerRequests)?;
    let condition = row_condition(node, caller, terms.condition.as_deref()).await?;
    let restriction = restriction(terms, condition)?;
    let id = find(node, &id).await?.id;
    let negotiation = node.negotiations().offer(&id, &restriction, &by).await?;
    document(node, &negotiation).await
}

/// Accepts an offer.
///
/// # Errors
/// `usage` if there is none.
pub(crate) async fn accept(node: &Node, caller: &Actor, id: String) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::AcceptOffer)?;
    let id = find(node, &id).await?.id;
    node.negotiations().accept(&id, &by).await?;
    after_automatic_steps(node, &id).await
}

/// Signs the terms of an accepted offer.
///
/// # Errors
/// `usage` if the provider has not signed them.
pub(crate) async fn verify(node: &Node, caller: &Actor, id: String) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::AcceptOffer)?;
    let id = find(node, &id).await?.id;
    node.negotiations().verify(&id, &by).await?;
    after_automatic_steps(node, &id).await
}

/// Ends a negotiation. The provider's steward declines a request, the consumer's researcher an offer.
///
/// # Errors
/// `usage` if it has ended already, or it is not this side's turn to end it.
pub(crate) async fn reject(node: &Node, caller: &Actor, id: String, change: GrantChange) -> Result<Grant, Problem> {
    // Before it is looked up: otherwise the error shows whether there is one, and on which side this node is.
    caller.require_either(Action::AcceptOffer, Action::AnswerRequests)?;
    let negotiation = find(node, &id).await?;
    let by = caller.authorize(match negotiation.party {
        Party::Provider => Action::AnswerRequests,
        Party::Consumer => Action::AcceptOffer,
    })?;
    let negotiations = node.negotiations();
    let negotiation = negotiations.reject(&negotiation.id, change.reason, &by).await?;
    document(node, &negotiation).await
}

/// Revokes a grant. Running answers stop.
///
/// # Errors
/// `usage` if there is no grant yet, or this side may not.
pub(crate) async fn revoke(node: &Node, caller: &Actor, id: String, change: GrantChange) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::RevokeGrant)?;
    apply(node, &id, (GrantEvent::Revoke, change), &by).await
}

/// Suspends a grant. Running answers stop.
///
/// # Errors
/// As [`revoke`].
pub(crate) async fn suspend(node: &Node, caller: &Actor, id: String, change: GrantChange) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::SuspendGrant)?;
    apply(node, &id, (GrantEvent::Suspend, change), &by).await
}

/// Resumes a suspended grant.
///
/// # Errors
/// As [`revoke`].
pub(crate) async fn resume(node: &Node, caller: &Actor, id: String, change: GrantChange) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::SuspendGrant)?;
    apply(node, &id, (GrantEvent::Resume, change), &by).await
}

/// Gives up a grant of another institution.
///
/// # Errors
/// As [`revoke`].
pub(crate) async fn relinquish(node: &Node, caller: &Actor, id: String, change: GrantChange) -> Result<Grant, Problem> {
    let by = caller.authorize(Action::RelinquishGrant)?;
    apply(node, &id, (GrantEvent::Relinquish, change), &by).await
}

async fn apply(
    node: &Node,
    id: &str,
    (event, change): (GrantEvent, GrantChange),
    by: &Attribution,
) -> Result<Grant, Problem> {
    let negotiation = find(node, id).await?;
    let grant = GrantId::from(negotiation.id);
    if node.grants().get(&grant).await.is_none() {
        let state = negotiation.state;
        return Err(Problem::usage(format!(
            "there is no grant yet: the negotiation is {state}"
        )));
    }
    let negotiations = node.negotiations();
    let (_, acknowledged) = negotiations.change_grant(&grant, event, change.reason, by).await?;
    Ok(Grant {
        acknowledged: Some(acknowledged),
        ..document(node, &negotiation).await?
    })
}

async fn after_automatic_steps(node: &Node, id: &NegotiationId) -> Result<Grant, Problem> {
    let negotiations = node.negotiations();
    let negotiation = negotiations.wait_until_ended(id, AUTOMATIC_STEPS_TIMEOUT).await?;
    document(node, &negotiation).await
}

/// A negotiation as a document, with the state of its grant now.
pub(super) async fn document(node: &Node, negotiation: &NegotiationView) -> Result<Grant, Problem> {
    let grant = node.grants().get(&GrantId::from(negotiation.id)).await;
    view::grant(negotiation, grant.as_ref(), node.clock().now())
}

/// A negotiation by its id or by a prefix of it, if only one id starts with the prefix.
pub(super) async fn find(node: &Node, id: &str) -> Result<NegotiationView, Problem> {
    let negotiations = node.negotiations();
    if let Ok(whole) = id.parse() {
        return Ok(negotiations.show(&whole).await?);
    }
    let unknown = || {
        Problem::new(ErrorKind::NotFound, format!("there is no grant `{id}`"))
            .help("`concordat grant list` lists all grants")
    };
    if id.len() < 4 {
        return Err(unknown());
    }
    let prefix = id.to_owned();
    let matching = blocking(node, move |node| {
        Ok::<_, Problem>(node.negotiations().ids_with_prefix(&prefix))
    });
    match matching.await?.as_slice() {
        [only] => Ok(negotiations.show(only).await?),
        [] => Err(unknown()),
        several => {
            let count = several.len();
            Err(Problem::usage(format!("the ids of {count} grants start with `{id}`")).help("give more of the id"))
        }
    }
}
