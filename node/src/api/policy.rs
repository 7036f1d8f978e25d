//! The policy sets: reading, testing, comparing and applying them.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::parameters::Path;
use super::route::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::negotiation::party;
use crate::node::Node;
use crate::policies::{Applied, PolicyStoreError, Proposal, SealedPolicySet, catalog_facts};
use crate::policy::{Case, Party, PolicySources, RequestSpace, diff, never_allowed, sampled};

pub(super) fn routes() -> Vec<Route> {
    let (read, manage) = (Access::Needs(Action::ReadPolicy), Access::Needs(Action::ManagePolicy));
    vec![
        Route::new("/v1/policy", read, get(show)).describe([Operation::get("The current policy set").returns_object()]),
        Route::new("/v1/policy/sets", read, get(history))
            .describe([Operation::get("All policy sets, and a proposal that waits for approval").returns_object()]),
        Route::new("/v1/policy/sets/{number}", read, get(numbered))
            .describe([Operation::get("A policy set").returns_object()]),
        Route::new("/v1/policy/check", read, post(check)).describe([Operation::post("Validate a policy set")
            .accepts_object()
            .returns_object()]),
        Route::new("/v1/policy/test", read, post(test)).describe([Operation::post(
            "Run test cases against a policy set",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/policy/diff", read, post(compare)).describe([Operation::post(
            "What a policy set permits more and less than the current one",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/policy/apply", manage, post(apply)).describe([Operation::post(
            "Apply a policy set, or propose it",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/policy/approve", manage, post(approve)).describe([Operation::post(
            "Approve a proposed policy set",
        )
        .accepts_object()
        .returns_object()]),
        Route::new("/v1/policy/rollback", manage, post(rollback)).describe([Operation::post(
            "Apply an earlier policy set again",
        )
        .accepts_object()
        .returns_object()]),
    ]
}

/// The facts that policies are evaluated with: the members of the roster and the datasets of the catalog.
fn ground(node: &Node) -> Result<RequestSpace, Problem> {
    let identity = node.identity();
    let roster = node.membership().newest();
    let members: Vec<Party> = roster
        .iter()
        .flat_map(|roster| {
            let members = roster.roster().members.iter();
            members.filter_map(|member| party(roster, &member.institution))
        })
        .collect();
    let holder = members.iter().find(|member| member.institution == identity.institution);
    let holder = holder.cloned().unwrap_or_else(|| Party {
        institution: identity.institution.clone(),
        jurisdiction: identity.jurisdiction.clone(),
        status: None,
    });
    let catalog = node.storage().catalog();
    let mut datasets = Vec::new();
    for record in catalog.datasets().list()? {
        let version = catalog.open_version(&record.name, None)?;
        datasets.push(catalog_facts(&identity.institution, &record, version.manifest()));
    }
    Ok(RequestSpace::new(holder).with(members, datasets))
}

fn set_json(set: &SealedPolicySet, at: Timestamp) -> Value {
    json!({
        "number": set.number(),
        "digest": set.digest(),
        "actor": set.by.actor(),
        "approved_by": set.approved_by(),
        "at": at.to_string(),
    })
}

fn with_sources(mut value: Value, sources: &PolicySources) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("files".to_owned(), json!(sources.files));
        object.insert("settings".to_owned(), json!(sources.settings));
    }
    value
}

fn proposal_json(proposal: &Proposal) -> Value {
    json!({ "digest": proposal.digest, "by": proposal.by, "at": proposal.at.to_string() })
}

async fn show(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    api.blocking(|node| {
        let (store, sets) = (node.policies(), node.policies().history()?);
        let (set, at) = sets.last().ok_or(PolicyStoreError::NoSuchSet { number: 0 })?;
        let mut value = with_sources(set_json(set, *at), &set.sources);
        if let Some(object) = value.as_object_mut() {
            object.insert("rules".to_owned(), json!(store.live().current().rule_count()));
            object.insert(
                "proposal".to_owned(),
                json!(store.proposal()?.as_ref().map(proposal_json)),
            );
        }
        Ok::<_, Problem>(Json(value))
    })
    .await
}

async fn history(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let sets = api.blocking(|node| node.policies().history()).await?;
    let items: Vec<Value> = sets.iter().rev().map(|(set, at)| set_json(set, *at)).collect();
    Ok(Json(json!({ "items": items })))
}

async fn numbered(State(api): State<Api>, Path(number): Path<u64>) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let sets = node.policies().history()?;
        let found = sets.iter().find(|(set, _)| set.number() == number);
        let (set, at) = found.ok_or(PolicyStoreError::NoSuchSet { number })?;
        Ok::<_, Problem>(Json(with_sources(set_json(set, *at), &set.sources)))
    })
    .await
}

async fn check(State(api): State<Api>, Body(sources): Body<PolicySources>) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let policy = sources.compile().map_err(PolicyStoreError::from)?;
        let ground = ground(node)?;
        let allowed = never_allowed(&policy, &ground);
        if !allowed.is_empty() {
            return Err(Problem::from(PolicyStoreError::TooWide { allowed }));
        }
        Ok(Json(json!({
            "digest": policy.digest(),
            "rules": policy.rule_count(),
            "sample": sampled(&policy, &ground),
        })))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    /// The set to test; the current one if none is sent.
    sources: Option<PolicySources>,
    cases: Vec<Case>,
}

async fn test(State(api): State<Api>, Body(body): Body<TestBody>) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let policy = match &body.sources {
            Some(sources) => sources.compile().map_err(PolicyStoreError::from)?,
            None => node.policies().live().current(),
        };
        let ground = ground(node)?;
        let outcomes: Vec<_> = body.cases.iter().map(|case| case.run(&policy, &ground)).collect();
        let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
        Ok::<_, Problem>(Json(json!({
            "digest": policy.digest(),
            "failed": failed,
            "never_allowed": never_allowed(&policy, &ground),
            "items": outcomes,
        })))
    })
    .await
}

/// One side of a comparison.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Side {
    /// A set by its number.
    Number(u64),
    /// The current one.
    Current,
    /// Files that have not been applied yet.
    Sources(PolicySources),
}

impl Side {
    fn sources(self, node: &Node) -> Result<PolicySources, Problem> {
        Ok(match self {
            Self::Number(number) => node.policies().numbered(number)?.sources,
            Self::Current => node.policies().current()?.sources,
            Self::Sources(sources) => sources,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffBody {
    from: Side,
    to: Side,
}

async fn compare(State(api): State<Api>, Body(body): Body<DiffBody>) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let (from, to) = (body.from.sources(node)?, body.to.sources(node)?);
        let old = from.compile().map_err(PolicyStoreError::from)?;
        let new = to.compile().map_err(PolicyStoreError::from)?;
        let found = diff((&from, &old), (&to, &new), &ground(node)?);
        let mut value =
            serde_json::to_value(found).map_err(|error| Problem::internal("cannot write the diff", &error))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("from".to_owned(), json!(old.digest()));
            object.insert("to".to_owned(), json!(new.digest()));
        }
        Ok::<_, Problem>(Json(value))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    sources: PolicySources,
    /// The digest of the set that was reviewed.
    expect: Digest32,
    #[serde(default)]
    cases: Vec<Case>,
}

async fn apply(State(api): State<Api>, caller: Caller, Body(body): Body<ApplyBody>) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let ApplyBody { sources, expect, cases } = body;
        outcome(
            node.policies()
                .apply(sources, expect, &cases, &caller.0, &ground(node)?)?,
        )
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    expect: Digest32,
}

async fn approve(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body<ApproveBody>,
) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let (store, accounts) = (node.policies(), node.accounts());
        outcome(store.approve(body.expect, &caller.0, accounts, &ground(node)?)?)
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    number: u64,
}

/// Applies an earlier set again, under a new number and with the same procedure.
async fn rollback(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body<RollbackBody>,
) -> Result<Json<Value>, Problem> {
    api.blocking(move |node| {
        let store = node.policies();
        let sources = store.numbered(body.number)?.sources;
        let expect = sources.compile().map_err(PolicyStoreError::from)?.digest();
        outcome(store.apply(sources, expect, &[], &caller.0, &ground(node)?)?)
    })
    .await
}

fn outcome(applied: Applied) -> Result<Json<Value>, Problem> {
    Ok(Json(match applied {
        Applied::Active(set) => json!({
            "state": "applied",
            "number": set.number(),
            "digest": set.digest(),
            "actor": set.by.actor(),
            "approved_by": set.approved_by(),
        }),
        Applied::Proposed(proposal) => json!({
            "state": "proposed",
            "number": Value::Null,
            "digest": proposal.digest,
            "actor": proposal.by,
            "approved_by": Value::Null,
        }),
    }))
}
