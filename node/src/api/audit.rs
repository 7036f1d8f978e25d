//! The ledger: its entries, its verification, and inclusion proofs.

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use concordat_documents::problem::Problem;
use concordat_documents::{
    Items,
    audit::{AuditReport, Entry, Tail},
    openapi::Operation,
};
use concordat_protocol::audit::InclusionProof;

use super::parameters::{Path, Query};
use super::route_access::{Access, Caller, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::audit;

pub(super) fn routes() -> Vec<Route> {
    let verifies = Access::Needs(Action::VerifyLedger);
    vec![
        Route::new("/v1/audit/entries", Access::Needs(Action::ReadLedger), get(tail)).describe(|| {
            [Operation::get("The newest entries of the ledger")
                .query::<Tail>()
                .returns_items::<Entry>()]
        }),
        Route::new("/v1/audit/verify", verifies, post(verify))
            .describe(|| [Operation::post("Check the whole ledger").returns::<AuditReport>()]),
        Route::new("/v1/audit/proofs/{sequence}", verifies, get(prove))
            .describe(|| [Operation::get("The proof that an entry is in the ledger").returns_object()]),
    ]
}

async fn tail(
    State(api): State<Api>,
    Caller(caller): Caller,
    Query(Tail { count }): Query<Tail>,
) -> Result<Json<Items<Entry>>, Problem> {
    audit::tail(api.node(), &caller, count).await.map(Json)
}

async fn verify(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<AuditReport>, Problem> {
    audit::verify(api.node(), &caller).await.map(Json)
}

async fn prove(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(sequence): Path<u64>,
) -> Result<Json<InclusionProof>, Problem> {
    audit::prove(api.node(), &caller, sequence).await.map(Json)
}
