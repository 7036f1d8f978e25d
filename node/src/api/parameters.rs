//! The variable parts of a path, and the parameters of a query string.

use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use serde::de::DeserializeOwned;

/// The variable parts of the path; a path whose parts cannot be parsed as `T` names nothing.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(ErrorKind::NotFound, rejection.body_text())),
        }
    }
}

/// The parameters of the query string; those that cannot be parsed as `T` are answered with a problem document.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::usage(rejection.body_text())),
        }
    }
}
