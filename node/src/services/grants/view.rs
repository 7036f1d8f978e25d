//! Negotiations and grants as documents, and documents as what a negotiation takes.

use concordat_documents::grant::{
    Grant, GrantColumn, GrantDataset, GrantLimits, GrantNarrowing, GrantState, GrantSummary, OfferLimits, OfferTerms,
    RequestedTerms, Transcript, TranscriptMessage,
};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::ids::{DatasetName, SelectedColumn};
use concordat_protocol::negotiation::{Body, Narrowing, NegotiationMessage, State, StateName};
use concordat_protocol::scope::{DatasetScope, Limits, Protection, Scope, Tier};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;

use crate::negotiation::{
    GrantRequest, GrantView, NegotiationSummary, NegotiationView, RestrictedLimits, Restriction, RowCondition,
    TransformName,
};

/// What is requested, of a request whose row condition was read.
pub(super) fn request_of(terms: RequestedTerms, condition: Option<RowCondition>) -> GrantRequest {
    let RequestedTerms {
        tier,
        protection,
        datasets,
        columns,
        condition: _,
        purposes,
        until,
        people,
    } = terms;
    GrantRequest {
        tier,
        protection,
        datasets,
        columns,
        condition,
        purposes,
        until,
        people,
    }
}

/// How an offer is narrowed, by terms whose row condition was read.
///
/// # Errors
/// `usage` if a transform does not exist.
pub(super) fn restriction(terms: OfferTerms, condition: Option<RowCondition>) -> Result<Restriction, Problem> {
    let OfferTerms {
        tier,
        protection,
        datasets,
        columns,
        condition: _,
        until,
        people,
        limits,
        transforms,
    } = terms;
    let OfferLimits {
        max_rows,
        queries_per_day,
        min_cell,
        max_cells,
        distinctions,
        figures_with_noise,
    } = limits;
    Ok(Restriction {
        tier,
        protection,
        datasets,
        columns,
        condition,
        until,
        people,
        limits: RestrictedLimits {
            max_rows,
            queries_per_day,
            min_cell,
            max_cells,
            distinctions,
            figures_with_noise,
        },
        transforms: transforms.into_iter().map(transform).collect::<Result<_, Problem>>()?,
    })
}

fn transform((column, text): (SelectedColumn, String)) -> Result<(SelectedColumn, TransformName), Problem> {
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
        datasets: datasets(scope),
        tier: scope.tier,
        protection: (scope.tier < Tier::Records).then(|| scope.protection.to_string()),
        columns: columns(scope),
        rows: rows(scope),
        purposes: scope.purposes.iter().cloned().collect(),
        people: scope.people.to_string(),
        places: scope.places.to_string(),
        not_before: scope.window.not_before().to_string(),
        not_after: scope.window.not_after().to_string(),
        limits: limits(scope),
        reason: stated
            .or_else(|| termination_reason(&view.detail))
            .or_else(|| view.stopped.clone()),
        acknowledged: None,
        missing: Vec::new(),
        policy: None,
    })
}

/// A negotiation or grant in a list; `grant` is the state of its grant, if there is one.
pub(super) fn listed(summary: NegotiationSummary, grant: Option<Effective>) -> GrantSummary {
    let NegotiationSummary {
        position,
        party,
        peer,
        consumer,
        state: negotiation,
        collection,
        tier,
        window,
    } = summary;
    GrantSummary {
        id: position.id,
        state: state(negotiation, grant),
        side: party,
        peer,
        started_at: position.started_at.to_string(),
        provider: collection.institution,
        consumer,
        dataset: DatasetName::from(&collection.collection),
        tier,
        not_before: window.not_before().to_string(),
        not_after: window.not_after().to_string(),
    }
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

/// The datasets of a collection; none for a dataset alone.
fn datasets(scope: &Scope) -> Vec<GrantDataset> {
    if scope.only().is_some() {
        return Vec::new();
    }
    let datasets = scope.datasets.iter().map(|(name, dataset)| GrantDataset {
        name: name.clone(),
        rows: dataset.rows.to_string(),
    });
    datasets.collect()
}

fn columns(scope: &Scope) -> Vec<GrantColumn> {
    let is_alone = scope.only().is_some();
    let columns = scope.datasets.iter().flat_map(|(dataset, shown)| {
        let dataset = (!is_alone).then_some(dataset);
        shown.columns.iter().map(move |(name, transform)| GrantColumn {
            dataset: dataset.cloned(),
            name: name.clone(),
            transform: transform.to_string(),
        })
    });
    columns.collect()
}

/// The rows of each dataset as text, which names the datasets if there are several.
fn rows(scope: &Scope) -> String {
    of_each(scope, |dataset| dataset.rows.to_string())
}

/// The columns of each dataset as text, which names the datasets if there are several.
fn shown(scope: &Scope) -> String {
    of_each(scope, |dataset| dataset.columns.to_string())
}

fn of_each(scope: &Scope, text: fn(&DatasetScope) -> String) -> String {
    match scope.only() {
        Some((_, dataset)) => text(dataset),
        None => {
            let each = scope.datasets.iter();
            let each = each.map(|(name, dataset)| format!("{name}: {}", text(dataset)));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

fn limits(scope: &Scope) -> GrantLimits {
    let Limits {
        max_rows,
        max_queries_per_day,
        min_cell,
        max_cells,
        distinctions,
        // A grant that sets it is refused ([`Scope::check_applied`]).
        per_person_per_day: _,
    } = scope.limits;
    let answers = match scope.protection {
        Protection::Perturbed(noise) => noise.answers(),
        Protection::Exact | Protection::Private(_) => None,
    };
    GrantLimits {
        max_rows,
        max_queries_per_day,
        max_cells,
        distinctions,
        figures_with_noise: answers,
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
