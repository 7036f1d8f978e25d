//! The policy sets: reading, testing, comparing and applying them.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::Items;
use concordat_documents::openapi::Operation;
use concordat_documents::policy::{
    AppliedPolicy, CheckedPolicy, CurrentPolicySet, NewPolicySet, PolicyApproval, PolicyComparison, PolicyDiff,
    PolicyRollback, PolicySet, PolicySetSummary, PolicySources, PolicyTest, PolicyTestReport,
};
use concordat_documents::problem::Problem;

use super::body::Body;
use super::body_budget::MAX_DOCUMENT;
use super::parameters::Path;
use super::route_access::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::policy;

pub(super) fn routes() -> Vec<Route> {
    let read = Access::Needs(Action::ReadPolicy);
    let manage = Access::Needs(Action::ManagePolicy);
    vec![
        Route::new("/v1/policy", read, get(show))
            .describe(|| [Operation::get("The current policy set").returns::<CurrentPolicySet>()]),
        Route::new("/v1/policy/sets", read, get(history))
            .describe(|| [Operation::get("All policy sets, the newest first").returns_items::<PolicySetSummary>()]),
        Route::new("/v1/policy/sets/{number}", read, get(numbered))
            .describe(|| [Operation::get("A policy set").returns::<PolicySet>()]),
        Route::new("/v1/policy/check", read, post(check))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Validate a policy set")
                    .accepts::<PolicySources>()
                    .returns::<CheckedPolicy>()]
            }),
        Route::new("/v1/policy/test", read, post(test))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Run test cases against a policy set")
                    .accepts::<PolicyTest>()
                    .returns::<PolicyTestReport>()]
            }),
        Route::new("/v1/policy/diff", read, post(compare))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [
                    Operation::post("What a policy set permits more and less than another one")
                        .accepts::<PolicyComparison>()
                        .returns::<PolicyDiff>(),
                ]
            }),
        Route::new("/v1/policy/apply", manage, post(apply))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Apply a policy set, or propose it")
                    .accepts::<NewPolicySet>()
                    .returns::<AppliedPolicy>()]
            }),
        Route::new("/v1/policy/approve", manage, post(approve)).describe(|| {
            [Operation::post("Approve a proposed policy set")
                .accepts::<PolicyApproval>()
                .returns::<AppliedPolicy>()]
        }),
        Route::new("/v1/policy/rollback", manage, post(roll_back)).describe(|| {
            [Operation::post("Apply an earlier policy set again")
                .accepts::<PolicyRollback>()
                .returns::<AppliedPolicy>()]
        }),
    ]
}

async fn show(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<CurrentPolicySet>, Problem> {
    policy::show(api.node(), &caller).await.map(Json)
}

async fn history(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Items<PolicySetSummary>>, Problem> {
    policy::history(api.node(), &caller).await.map(Json)
}

async fn numbered(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(number): Path<u64>,
) -> Result<Json<PolicySet>, Problem> {
    policy::numbered(api.node(), &caller, number).await.map(Json)
}

async fn check(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(sources): Body<PolicySources>,
) -> Result<Json<CheckedPolicy>, Problem> {
    policy::check(api.node(), &caller, sources).await.map(Json)
}

async fn test(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(test): Body<PolicyTest>,
) -> Result<Json<PolicyTestReport>, Problem> {
    policy::test(api.node(), &caller, test).await.map(Json)
}

async fn compare(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(sets): Body<PolicyComparison>,
) -> Result<Json<PolicyDiff>, Problem> {
    policy::compare(api.node(), &caller, sets).await.map(Json)
}

async fn apply(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(new): Body<NewPolicySet>,
) -> Result<Json<AppliedPolicy>, Problem> {
    policy::apply(api.node(), &caller, new).await.map(Json)
}

async fn approve(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(approval): Body<PolicyApproval>,
) -> Result<Json<AppliedPolicy>, Problem> {
    policy::approve(api.node(), &caller, approval).await.map(Json)
}

async fn roll_back(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(rollback): Body<PolicyRollback>,
) -> Result<Json<AppliedPolicy>, Problem> {
    policy::roll_back(api.node(), &caller, rollback).await.map(Json)
}
