//! For monitoring: liveness, readiness, and a few metrics. No person and no dataset is named here.

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};

use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

use super::route::{Access, Route};
use super::state::Api;
use super::status;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/healthz", Access::Open, get(alive)).describe([Operation::get("Whether the process runs")]),
        Route::new("/readyz", Access::Open, get(ready))
            .describe([Operation::get("Whether a request would be served now")]),
        Route::new("/metrics", Access::Open, get(metrics))
            .describe([Operation::get("Metrics in the Prometheus text format")]),
    ]
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(api): State<Api>) -> Result<String, Problem> {
    let reasons = status::unready(api.node());
    if reasons.is_empty() {
        let verification = status::verification(api.node()).map(|state| format!("; {state}"));
        Ok(format!("ready{}\n", verification.unwrap_or_default()))
    } else {
        Err(Problem::new(ErrorKind::Unreachable, "the node is not ready").because(reasons))
    }
}

/// The Prometheus text format, version 0.0.4.
async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let node = api.node();
    let gauges = [
        (
            "concordat_ready",
            "Whether a request would be served",
            u64::from(status::unready(node).is_empty()),
        ),
        (
            "concordat_connected_peers",
            "Peers connected now",
            node.network().connected_peers().len() as u64,
        ),
        (
            "concordat_ledger_entries",
            "Entries of the ledger",
            node.ledger().size(),
        ),
        (
            "concordat_roster_number",
            "Number of the current roster",
            status::roster_number(node).unwrap_or(0),
        ),
    ];
    let lines =
        gauges.map(|(name, help, value)| format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], lines.concat())
}
