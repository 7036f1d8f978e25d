//! The JSON form of a negotiation and of the grant that resulted from it.

use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::negotiation::{Body, Narrowing, State};
use concordat_protocol::scope::Scope;
use concordat_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::negotiation::{GrantView, NegotiationView};

/// The document of `grant show`.
pub(super) fn negotiation(view: &NegotiationView, grant: Option<&GrantView>, now: Timestamp) -> Value {
    let side = view.party.to_string();
    let mut value = json!({
        "id": view.id,
        "state": state(view, grant, now),
        "side": side,
        "peer": view.peer,
        "peer_fingerprint": view.peer_key.fingerprint(),
        "started_at": view.started_at.to_string(),
        "transcript_head": view.head,
        "signed_by": signers(view),
        "revision": grant.map_or(0, |grant| grant.terms.revision),
        "narrowings": narrowings(view),
    });
    let shown_scope = grant.map(|grant| &grant.terms.scope).or_else(|| last_scope(view));
    if let (Some(object), Some(scope)) = (value.as_object_mut(), shown_scope) {
        object.extend(scope_fields(scope, view));
    }
    let reason = grant
        .and_then(|grant| grant.state.reason.as_ref())
        .map(ToString::to_string)
        .or_else(|| termination_reason(view));
    if let (Some(object), Some(reason)) = (value.as_object_mut(), reason) {
        object.insert("reason".to_owned(), reason.into());
    }
    value
}

/// Every message in order, with a one-line summary.
pub(super) fn transcript(view: &NegotiationView) -> Value {
    let messages = view.messages.iter().map(|(message, digest)| {
        json!({
            "sequence": message.sequence,
            "from": message.from,
            "kind": message.body.kind(),
            "sent_at": message.sent_at.to_string(),
            "digest": digest,
            "previous": message.previous,
            "summary": summary(&message.body),
        })
    });
    json!({ "id": view.id, "head": view.head, "messages": messages.collect::<Vec<_>>() })
}

/// The state of the negotiation until there is a grant, then that of the grant.
fn state(view: &NegotiationView, grant: Option<&GrantView>, now: Timestamp) -> String {
    match grant.map(|grant| grant.effective(now)) {
        None => view.state.to_string(),
        Some(Effective::NotYet) => "NOT_YET".to_owned(),
        Some(Effective::Active) => "ACTIVE".to_owned(),
        Some(Effective::Suspended) => "SUSPENDED".to_owned(),
        Some(Effective::Revoked) => "REVOKED".to_owned(),
        Some(Effective::Relinquished) => "RELINQUISHED".to_owned(),
        Some(Effective::Expired) => "EXPIRED".to_owned(),
    }
}

fn signers(view: &NegotiationView) -> Vec<Party> {
    match &view.detail {
        State::Requested(_) | State::Offered(_) | State::Accepted(_) | State::Terminated(_) => Vec::new(),
        State::Agreed(_) => vec![Party::Provider],
        State::Verified(_) | State::Finalized(_) => vec![Party::Provider, Party::Consumer],
    }
}

fn scope_fields(scope: &Scope, view: &NegotiationView) -> serde_json::Map<String, Value> {
    let columns = scope
        .columns
        .iter()
        .map(|(name, transform)| json!({ "name": name, "transform": transform.to_string() }));
    let (provider, consumer) = match view.messages.first() {
        Some((request, _)) => (request.to.to_string(), request.from.to_string()),
        None => (scope.dataset.institution.to_string(), String::new()),
    };
    let fields = [
        ("provider", json!(provider)),
        ("consumer", json!(consumer)),
        ("dataset", json!(scope.dataset.dataset)),
        ("tier", json!(scope.tier)),
        ("columns", columns.collect()),
        ("rows", json!(scope.rows.to_string())),
        (
            "purposes",
            scope.purposes.iter().map(|purpose| json!(purpose)).collect(),
        ),
        ("people", json!(scope.people.to_string())),
        ("places", json!(scope.places.to_string())),
        ("not_before", json!(scope.window.not_before().to_string())),
        ("not_after", json!(scope.window.not_after().to_string())),
        ("limits", json!(scope.limits)),
    ];
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
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

fn narrowings(view: &NegotiationView) -> Vec<Value> {
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

fn narrowing(narrowing: &Narrowing) -> Value {
    json!({
        "part": narrowing.difference.part,
        "requested": narrowing.difference.requested,
        "offered": narrowing.difference.offered,
        "reason": narrowing.reason,
        "rule": narrowing.rule,
    })
}

fn termination_reason(view: &NegotiationView) -> Option<String> {
    match &view.detail {
        State::Terminated(ended) => Some(ended.reason.to_string()),
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
            format!("requests {} of {}: {justification}", scope.tier, scope.columns)
        }
        Body::Offer { scope, narrowings } => format!(
            "offers {} of {}; {} narrowed",
            scope.tier,
            scope.columns,
            narrowings.len()
        ),
        Body::Accept => "accepts the offer".to_owned(),
        Body::Agreement { .. } => "signs the terms".to_owned(),
        Body::Verification { .. } => "signs the same terms".to_owned(),
        Body::Finalized => "confirms: the grant is active".to_owned(),
        Body::Terminate { reason } => format!("ends the negotiation: {reason}"),
    }
}
