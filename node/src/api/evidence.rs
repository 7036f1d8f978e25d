//! The evidence of queries, and the ledger as a file that others can verify.

use axum::{
    Json,
    body::Body as HttpBody,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use concordat_documents::evidence::{QueryRecord, WriteOff, WrittenOff};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::query::EvidenceBundle;

use super::body::Body;
use super::parameters::Path;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::evidence;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            "/v1/audit/queries/{query}",
            Access::Needs(Action::ReadLedger),
            get(show),
        )
        .describe(|| [Operation::get("The record of a query; its text only for auditors").returns::<QueryRecord>()]),
        Route::new(
            "/v1/audit/receipts/{query}",
            Access::Needs(Action::ReadEvidence),
            get(receipt),
        )
        .describe(|| [Operation::get("The evidence of a query, for `concordat-verify`").returns_object()]),
        Route::new(
            "/v1/audit/queries/{query}/write-off",
            Access::Needs(Action::WriteOffReceipt),
            post(write_off),
        )
        .describe(|| {
            [
                Operation::post("Write off a receipt that its consumer cannot countersign")
                    .accepts::<WriteOff>()
                    .returns::<WrittenOff>(),
            ]
        }),
        Route::new("/v1/audit/export", Access::Needs(Action::ReadEvidence), get(export))
            .cost(Cost::OwnLimit)
            .describe(|| {
                [Operation::get("The whole ledger, for `concordat-verify`").returns_bytes("application/x-ndjson")]
            }),
    ]
}

async fn show(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(query): Path<String>,
) -> Result<Json<QueryRecord>, Problem> {
    evidence::show(api.node(), &caller, query).await.map(Json)
}

async fn receipt(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(query): Path<String>,
) -> Result<Json<EvidenceBundle>, Problem> {
    evidence::receipt(api.node(), &caller, query).await.map(Json)
}

async fn write_off(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(query): Path<String>,
    Body(why): Body<WriteOff>,
) -> Result<Json<WrittenOff>, Problem> {
    evidence::write_off(api.node(), &caller, query, why).await.map(Json)
}

async fn export(State(api): State<Api>, Caller(caller): Caller) -> Result<Response, Problem> {
    let waiting = evidence::export(api.node(), api.transfers(), &caller)?;
    let stream = futures::stream::unfold(waiting, async |mut waiting| {
        let line = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), waiting))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(stream)).into_response())
}
