//! The consortium: founding, enrollment, admitting, removing, joining, and the roster.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::membership::{ValidRoster, from_file};
use concordat_protocol::text::ConsortiumName;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::membership::{Admission, Issued, MembershipError, Review};

pub(super) fn routes() -> Vec<Route> {
    let manage = Access::Needs(Action::ManageConsortium);
    vec![
        Route::new("/v1/consortium/found", manage, post(found))
            .describe([Operation::post("Found a consortium").accepts_object().returns_object()]),
        Route::new(
            "/v1/consortium/enrollment",
            manage,
            get(enrollment).post(enrollment_of_further_node),
        )
        .describe([
            Operation::get("The application of this node").returns_object(),
            Operation::post("The application of a further node of a member")
                .accepts_object()
                .returns_object(),
        ]),
        Route::new("/v1/consortium/members", manage, post(admit)).describe([Operation::post(
            "Admit a member, or propose it to the other holders of the charter",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/members/{institution}/remove", manage, post(remove))
            .describe([
                Operation::post("Remove a member, or propose it to the other holders of the charter").returns_object(),
            ]),
        Route::new(
            "/v1/consortium/members/{institution}/confirm-key",
            manage,
            post(confirm_key),
        )
        .describe([
            Operation::post("Confirm the key of a member that the holders of the charter replaced")
                .accepts_object()
                .returns_object(),
        ]),
        Route::new("/v1/consortium/join", manage, post(join)).describe([Operation::post(
            "Join a consortium by its roster",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/roster", Access::Needs(Action::ReadRoster), get(roster))
            .describe([Operation::get("The newest roster").returns_object()]),
        Route::new("/v1/consortium/roster/import", manage, post(import)).describe([Operation::post(
            "Import a newer roster",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/roster/review", manage, post(review_roster)).describe([Operation::post(
            "What a proposed roster changes",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/roster/sign", manage, post(sign_roster)).describe([Operation::post(
            "Sign a proposed roster",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/charter", manage, post(change_charter)).describe([Operation::post(
            "Change the charter, or propose it to its other holders",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/charter/review", manage, post(review_charter)).describe([Operation::post(
            "What a proposed change of the charter changes",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/consortium/charter/sign", manage, post(sign_charter)).describe([Operation::post(
            "Sign a proposed change of the charter",
        )
        .accepts_object()
        .returns_object()]),
        Route::new(
            "/v1/consortium/ledgers",
            Access::Needs(Action::ReadStatus),
            get(ledger_conflicts),
        )
        .describe([Operation::get("Ledgers that contradict what their nodes have signed").returns_object()]),
        Route::new(
            "/v1/consortium/ledgers/acknowledge",
            Access::Needs(Action::AcknowledgeLedger),
            post(acknowledge_ledger),
        )
        .describe([
            Operation::post("Acknowledge the ledger of a member that was replaced by another")
                .accepts_object()
                .returns_object(),
        ]),
        Route::new(
            "/v1/consortium/ledgers/acknowledge-own",
            Access::Needs(Action::AcknowledgeLedger),
            post(acknowledge_own_ledger),
        )
        .describe([
            Operation::post("Acknowledge that this node continues from an older ledger")
                .accepts_object()
                .returns_object(),
        ]),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundBody {
    name: ConsortiumName,
}

async fn found(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<FoundBody>,
) -> Result<Json<Value>, Problem> {
    let roster = api.node().membership().found(body.name, &actor.attribution()).await?;
    Ok(Json(roster_json(&api, &roster)))
}

async fn enrollment(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "armor": api.node().membership().enroll(None)? })))
}

async fn enrollment_of_further_node(
    State(api): State<Api>,
    Body(body): Body<FileBody>,
) -> Result<Json<Value>, Problem> {
    let enrollment = api.node().membership().enroll(Some(&body.bytes()?))?;
    Ok(Json(json!({ "armor": enrollment })))
}

/// A file, signed bytes or armored text, as base64.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    file: String,
}

impl FileBody {
    fn bytes(&self) -> Result<Vec<u8>, Problem> {
        BASE64
            .decode(self.file.as_bytes())
            .map_err(|_| Problem::usage("the file did not arrive as base64"))
    }
}

/// An application, and the applicant's hosts that may be dialed from now on although no range in the configuration covers them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmitBody {
    file: String,
    #[serde(default)]
    allow_hosts: Vec<IpAddr>,
    /// The applicant is a member that has lost its key.
    #[serde(default)]
    replace_key: bool,
}

async fn admit(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<AdmitBody>,
) -> Result<Json<Value>, Problem> {
    let membership = api.node().membership();
    let AdmitBody {
        file,
        allow_hosts,
        replace_key,
    } = body;
    let admission = Admission {
        allow_hosts,
        replace_key,
    };
    let file = FileBody { file }.bytes()?;
    let (issued, institution, fingerprint) = membership.admit_with(&file, &admission, &actor.attribution()).await?;
    let mut value = match &issued {
        Issued::Active(roster) => json!({ "number": roster.number() }),
        Issued::Proposed(_) => issued_json(&api, &issued),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("institution".to_owned(), json!(institution));
        object.insert("fingerprint".to_owned(), json!(fingerprint));
        object.insert("allowed_hosts".to_owned(), json!(admission.allow_hosts));
    }
    Ok(Json(value))
}

async fn remove(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(institution): Path<String>,
) -> Result<Json<Value>, Problem> {
    let institution: InstitutionId = institution.parse()?;
    let membership = api.node().membership();
    let issued = membership.remove(&institution, &actor.attribution()).await?;
    Ok(Json(issued_json(&api, &issued)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmBody {
    /// The complete fingerprint, as the institution has read it out.
    fingerprint: String,
}

async fn confirm_key(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(institution): Path<String>,
    Body(body): Body<ConfirmBody>,
) -> Result<Json<Value>, Problem> {
    let institution: InstitutionId = institution.parse()?;
    let membership = api.node().membership();
    let key = membership
        .confirm_key(&institution, &body.fingerprint, &actor.attribution())
        .await?;
    Ok(Json(
        json!({ "institution": institution, "fingerprint": key.fingerprint() }),
    ))
}

async fn join(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<FileBody>,
) -> Result<Json<Value>, Problem> {
    let membership = api.node().membership();
    let roster = membership.join(&body.bytes()?, &actor.attribution()).await?;
    Ok(Json(roster_json(&api, &roster)))
}

async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<FileBody>,
) -> Result<Json<Value>, Problem> {
    let signed = from_file(&body.bytes()?).map_err(MembershipError::from)?;
    let roster = api.node().membership().import(signed, &actor.attribution()).await?;
    Ok(Json(roster_json(&api, &roster)))
}

/// A document to be signed, and the digest under which it was reviewed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignBody {
    file: String,
    expect: Digest32,
}

impl SignBody {
    fn bytes(self) -> Result<Vec<u8>, Problem> {
        FileBody { file: self.file }.bytes()
    }
}

async fn review_roster(State(api): State<Api>, Body(body): Body<FileBody>) -> Result<Json<Review>, Problem> {
    Ok(Json(api.node().membership().review_roster(&body.bytes()?)?))
}

async fn review_charter(State(api): State<Api>, Body(body): Body<FileBody>) -> Result<Json<Review>, Problem> {
    Ok(Json(api.node().membership().review_charter(&body.bytes()?)?))
}

async fn sign_roster(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<SignBody>,
) -> Result<Json<Value>, Problem> {
    let (membership, expect) = (api.node().membership(), body.expect);
    let issued = membership
        .sign_roster(&body.bytes()?, expect, &actor.attribution())
        .await?;
    Ok(Json(issued_json(&api, &issued)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CharterBody {
    threshold: u8,
    holders: Vec<InstitutionId>,
}

async fn change_charter(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<CharterBody>,
) -> Result<Json<Value>, Problem> {
    let membership = api.node().membership();
    let issued = membership
        .change_charter(body.threshold, &body.holders, &actor.attribution())
        .await?;
    Ok(Json(issued_json(&api, &issued)))
}

async fn sign_charter(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<SignBody>,
) -> Result<Json<Value>, Problem> {
    let (membership, expect) = (api.node().membership(), body.expect);
    let issued = membership
        .sign_charter(&body.bytes()?, expect, &actor.attribution())
        .await?;
    Ok(Json(issued_json(&api, &issued)))
}

/// Ledgers that contradict what their nodes have signed.
async fn ledger_conflicts(State(api): State<Api>) -> Json<Value> {
    let heads = api.node().membership().heads();
    let own = heads.own_conflict().map(|conflict| {
        json!({
            "head": conflict.signed.digest(),
            "signed_entries": conflict.head.tree.size,
            "shown_by": conflict.shown_by,
            "at": conflict.at.to_string(),
        })
    });
    Json(json!({ "own": own, "items": heads.conflicts() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerLedgerBody {
    institution: InstitutionId,
    head: String,
}

async fn acknowledge_ledger(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<PeerLedgerBody>,
) -> Result<Json<Value>, Problem> {
    let heads = api.node().membership().heads();
    let acknowledged = heads
        .acknowledge_peer(body.institution, body.head, actor.attribution())
        .await?;
    Ok(Json(json!(acknowledged)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnLedgerBody {
    head: String,
}

async fn acknowledge_own_ledger(
    State(api): State<Api>,
    Caller(actor): Caller,
    Body(body): Body<OwnLedgerBody>,
) -> Result<Json<Value>, Problem> {
    let heads = api.node().membership().heads();
    let generation = heads.acknowledge_own(body.head, actor.attribution()).await?;
    Ok(Json(json!({ "generation": generation })))
}

/// The roster if the change took effect, otherwise the proposal and how many signatures it has.
fn issued_json(api: &Api, issued: &Issued) -> Value {
    match issued {
        Issued::Active(roster) => roster_json(api, roster),
        Issued::Proposed(proposal) => json!({
            "proposal": proposal.armor,
            "kind": proposal.kind,
            "signatures": proposal.signatures,
            "needed": proposal.needed,
        }),
    }
}

async fn roster(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let roster = api.node().membership().newest().ok_or(MembershipError::NoConsortium)?;
    let mut value = roster_json(&api, &roster);
    if let Some(object) = value.as_object_mut() {
        object.insert("armor".to_owned(), api.node().membership().export()?.into());
    }
    Ok(Json(value))
}

fn roster_json(api: &Api, roster: &ValidRoster) -> Value {
    let (ours, connected) = (api.node().identity().node(), api.node().network().connected_peers());
    let members = roster.roster().members.iter().map(|member| {
        let nodes: Vec<_> = member
            .nodes
            .iter()
            .map(|node| json!({ "node": node.node, "addresses": node.addresses }))
            .collect();
        json!({
            "institution": member.institution,
            "name": member.name,
            "jurisdiction": member.jurisdiction,
            "status": member.status.as_str(),
            "fingerprint": member.key.fingerprint(),
            "earlier_fingerprints": member.earlier.iter().map(|earlier| earlier.key.fingerprint()).collect::<Vec<_>>(),
            "since": member.since,
            "stated_at": member.stated_at.to_string(),
            "connected": member.nodes.iter().any(|node| node.node == ours || connected.contains(&node.node)),
            "nodes": nodes,
        })
    });
    let not_dialed: Vec<_> = api
        .node()
        .membership()
        .not_dialed(roster)
        .iter()
        .map(|found| json!({ "institution": found.institution, "address": found.address, "reason": found.reason.to_string() }))
        .collect();
    let charter = &roster.roster().charter;
    let holders: Vec<_> = charter.keys().iter().map(InstitutionPublicKey::fingerprint).collect();
    json!({
        "consortium": roster.roster().consortium,
        "number": roster.number(),
        "issued_at": roster.roster().issued_at.to_string(),
        "not_after": roster.roster().not_after.to_string(),
        "valid": roster.check_validity(api.node().clock().now()).is_ok(),
        "charter": charter.summary(),
        "charter_threshold": charter.threshold(),
        "charter_fingerprint": holders.join(", "),
        "digest": roster.digest(),
        "not_dialed": not_dialed,
        "members": members.collect::<Vec<_>>(),
    })
}
