//! For monitoring: liveness, readiness, and a few metrics. No person and no dataset is named here.

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::route_access::{Access, Cost, Route};
use super::state::Api;
use crate::services::health::{self, Gauge};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/healthz", Access::Open, get(alive))
            .cost(Cost::Short)
            .describe(|| [Operation::get("Whether the process runs")]),
        Route::new("/readyz", Access::Open, get(ready))
            .cost(Cost::Short)
            .describe(|| [Operation::get("Whether a request would be served now")]),
        Route::new("/metrics", Access::Open, get(metrics))
            .cost(Cost::Short)
            .describe(|| [Operation::get("Metrics in the Prometheus text format")]),
    ]
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(api): State<Api>) -> Result<String, Problem> {
    let note = health::ready(api.node())?.map(|note| format!("; {note}"));
    Ok(format!("ready{}\n", note.unwrap_or_default()))
}

/// The Prometheus text format, version 0.0.4.
async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let lines = health::metrics(api.node())
        .map(|Gauge { name, help, value }| format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], lines.concat())
}
