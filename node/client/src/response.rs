//! Responses: a document, or the problem that the daemon returned.

use bytes::Bytes;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use http_body_util::{BodyExt, Limited};
use hyper::Response;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

/// Most bytes of a response that is read in one go: 10,000 ledger entries fit.
const MAX_RESPONSE: usize = 64 << 20;

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|_| unreadable())
}

pub(crate) async fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, Problem> {
    if response.status().is_success() {
        return Ok(response);
    }
    let bytes = collect(response).await?;
    Err(decode::<Problem>(&bytes).unwrap_or_else(|problem| problem))
}

pub(crate) async fn read_json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Problem> {
    decode(&collect(checked(response).await?).await?)
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Problem> {
    let collected = Limited::new(response.into_body(), MAX_RESPONSE).collect().await;
    let collected = collected.map_err(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => broken(error),
        None => Problem::new(ErrorKind::Internal, "the node sent a response that is too long"),
    })?;
    Ok(collected.to_bytes())
}

pub(crate) fn broken(error: &hyper::Error) -> Problem {
    Problem::new(
        ErrorKind::Unreachable,
        format!("the node stopped in the middle of its response: {error}"),
    )
    .help("check its log, and check with `concordat status` whether it is running")
}

pub(crate) fn unreadable() -> Problem {
    Problem::new(
        ErrorKind::Internal,
        "the node's response has a format that this program does not know",
    )
    .help("use the same version of the node and of this program")
}
