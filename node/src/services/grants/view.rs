//! Negotiations and grants as documents, and documents as what a negotiation takes.

use concordat_documents::grant::{
    Grant, GrantColumn, GrantLimits, GrantNarrowing, GrantState, OfferLimits, OfferTerms, RequestedTerms, Transcript,
    TranscriptMessage,
};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::negotiation::{Body, Narrowing, NegotiationMessage, State, StateName};
use concordat_protocol::scope::{Limits, Scope};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;

use crate::negotiation::{GrantRequest, GrantView, NegotiationView, RestrictedLimits, Restriction, TransformName};

/// What is requested, of a request.
pub(super) fn request_of(terms: RequestedTerms) -> GrantRequest {
    let RequestedTerms {
        tier,
        columns,
        condition,
        purposes,
        until,
        people,
    } = terms;
    GrantRequest {
        tier,
        columns,
        condition,
        purposes,
        until,
        people,
    }
}

/// How an offer is narrowed.
///
/// # Errors
/// `usage` if a transform does not exist.
pub(super) fn restriction(terms: OfferTerms) -> Result<Restriction, Problem> {
    let OfferTerms {
        tier,
        columns,
        condition,
        until,
        people,
        limits,
        transforms,
    } = terms;
    let OfferLimits {
        max_rows,
        queries_per_day,
        min_cell,
    } = limits;
    Ok(Restriction {
        tier,
        columns,
        condition,
        until,
        people,
        limits: RestrictedLimits {
            max_rows,
            queries_per_day,
            min_cell,
        },
        transforms: transforms.into_iter().map(transform).collect::<Result<_, Problem>>()?,
    })
}

fn transform((column, text): (ColumnName, String)) -> Result<(ColumnName, TransformName), Problem> {
    match text.parse() {
        Ok(transform) => Ok((column, transform)),
        Err(error) => Err(Problem::usage(format!("`{column}`: {error}"))),
    }
}

/// A negotiation and its grant.
///
/// # Errors
/// `integrity` if the negotiation does not begin with a request; the messages were checked when they were stored.
pub(super) fn grant(view: &NegotiationView, grant: Option<&GrantView>, now: Timestamp) -> Result<Grant, Problem> {
    let (Some(first), Some(last)) = (first(view), last_scope(view)) else {
        return Err(Problem::new(
            ErrorKind::Integrity,
            format!("the negotiation {} does not begin with a request", view.id),
        ));
    };
    let scope = grant.map_or(last, |grant| &grant.terms.scope);
    let stated = grant.and_then(|grant| grant.difference.clone().or_else(|| grant.state.reason.clone()));
    Ok(Grant {
        id: view.id,
        state: state(view.state, grant.map(|grant| grant.effective(now))),
        side: view.party,
        peer: view.peer.clone(),
        peer_fingerprint: view.peer_key.fingerprint(),
        started_at: view.started_at.to_string(),
        transcript_head: view.head,
        signed_by: signers(&view.detail),
        revision: grant.map_or(0, |grant| grant.terms.revision),
        narrowings: narrowings(view),
        provider: first.to.clone(),
        consumer: first.from.clone(),
        dataset: DatasetName::from(&scope.collection.collection),
        tier: scope.tier,
        columns: columns(scope),
        rows: rows(scope),
        purposes: scope.purposes.iter().cloned().collect(),
        people: scope.people.to_string(),
        places: scope.places.to_string(),
        not_before: scope.window.not_before().to_string(),
        not_after: scope.window.not_after().to_string(),
        limits: limits(scope.limits),
        reason: stated
            .or_else(|| termination_reason(&view.detail))
            .or_else(|| view.stopped.clone()),
        acknowledged: None,
        missing: Vec::new(),
        policy: None,
    })
}

/// Every message in order, with a one-line summary.
pub(super) fn transcript(view: &NegotiationView) -> Transcript {
    let messages = view.messages.iter().map(|(message, digest)| TranscriptMessage {
        sequence: message.sequence,
        from: message.from.clone(),
        kind: message.body.kind().to_owned(),
        sent_at: message.sent_at.to_string(),
        digest: *digest,
        previous: message.previous,
        summary: summary(&message.body),
    });
    Transcript {
        id: view.id,
        head: view.head,
        messages: messages.collect(),
    }
}

/// The state of the negotiation until there is a grant, then that of the grant.
fn state(negotiation: StateName, grant: Option<Effective>) -> GrantState {
    match grant {
        Some(Effective::NotYet) => GrantState::NotYet,
        Some(Effective::Active) => GrantState::Active,
        Some(Effective::Suspended) => GrantState::Suspended,
        Some(Effective::Revoked) => GrantState::Revoked,
        Some(Effective::Relinquished) => GrantState::Relinquished,
        Some(Effective::Expired) => GrantState::Expired,
        None => match negotiation {
            StateName::Requested => GrantState::Requested,
            StateName::Offered => GrantState::Offered,
            StateName::Accepted => GrantState::Accepted,
            StateName::Agreed => GrantState::Agreed,
            StateName::Verified => GrantState::Verified,
            StateName::Finalized => GrantState::Finalized,
            StateName::Terminated => GrantState::Terminated,
        },
    }
}

fn signers(state: &State) -> Vec<Party> {
    match state {
        State::Requested(_) | State::Offered(_) | State::Accepted(_) | State::Terminated(_) => Vec::new(),
        State::Agreed(_) => vec![Party::Provider],
        State::Verified(_) | State::Finalized(_) => vec![Party::Provider, Party::Consumer],
    }
}

fn columns(scope: &Scope) -> Vec<GrantColumn> {
    let columns = scope.datasets.iter().flat_map(|(_, dataset)| dataset.columns.iter());
    let columns = columns.map(|(name, transform)| GrantColumn {
        name: name.clone(),
        transform: transform.to_string(),
    });
    columns.collect()
}

/// The rows of each dataset as text, which names the datasets if there are several.
fn rows(scope: &Scope) -> String {
    match scope.only() {
        Some((_, dataset)) => dataset.rows.to_string(),
        None => {
            let each = scope
                .datasets
                .iter()
                .map(|(name, dataset)| format!("{name}: {}", dataset.rows));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

/// The columns of each dataset as text, which names the datasets if there are several.
fn shown(scope: &Scope) -> String {
    match scope.only() {
        Some((_, dataset)) => dataset.columns.to_string(),
        None => {
            let each = scope
                .datasets
                .iter()
                .map(|(name, dataset)| format!("{name}: {}", dataset.columns));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

fn limits(limits: Limits) -> GrantLimits {
    let Limits {
        max_rows,
        max_queries_per_day,
        min_cell,
        // A grant that sets one of these is refused ([`Scope::check_applied`]).
        per_person_per_day: _,
        max_cells: _,
        distinctions: _,
    } = limits;
    GrantLimits {
        max_rows,
        max_queries_per_day,
        min_cell,
    }
}

fn first(view: &NegotiationView) -> Option<&NegotiationMessage> {
    view.messages.first().map(|(message, _)| message)
}

fn last_scope(view: &NegotiationView) -> Option<&Scope> {
    view.messages.iter().rev().find_map(|(message, _)| match &message.body {
        Body::Request { scope, .. } | Body::Offer { scope, .. } => Some(scope),
        Body::Accept
        | Body::Agreement { .. }
        | Body::Verification { .. }
        | Body::Finalized
        | Body::Terminate { .. } => None,
    })
}

fn narrowings(view: &NegotiationView) -> Vec<GrantNarrowing> {
    let offered = view.messages.iter().rev().find_map(|(message, _)| match &message.body {
        Body::Offer { narrowings, .. } => Some(narrowings),
        Body::Request { .. }
        | Body::Accept
        | Body::Agreement { .. }
        | Body::Verification { .. }
        | Body::Finalized
        | Body::Terminate { .. } => None,
    });
    offered.into_iter().flatten().map(narrowing).collect()
}

fn narrowing(narrowing: &Narrowing) -> GrantNarrowing {
    GrantNarrowing {
        part: narrowing.difference.part,
        requested: narrowing.difference.requested.clone(),
        offered: narrowing.difference.offered.clone(),
        reason: narrowing.reason.clone(),
        rule: narrowing.rule.clone(),
    }
}

fn termination_reason(state: &State) -> Option<Reason> {
    match state {
        State::Terminated(ended) => Some(ended.reason.clone()),
        State::Requested(_)
        | State::Offered(_)
        | State::Accepted(_)
        | State::Agreed(_)
        | State::Verified(_)
        | State::Finalized(_) => None,
    }
}

fn summary(body: &Body) -> String {
    match body {
        Body::Request { scope, justification } => {
            format!("requests {} of {}: {justification}", scope.tier, shown(scope))
        }
        Body::Offer { scope, narrowings } => format!(
            "offers {} of {}; {} narrowed",
            scope.tier,
            shown(scope),
            narrowings.len()
        ),
        Body::Accept => "accepts the offer".to_owned(),
        Body::Agreement { .. } => "signs the terms".to_owned(),
        Body::Verification { .. } => "signs the same terms".to_owned(),
        Body::Finalized => "confirms: the grant is active".to_owned(),
        Body::Terminate { reason } => format!("ends the negotiation: {reason}"),
    }
}
