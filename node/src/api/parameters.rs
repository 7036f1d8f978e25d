//! The variable parts of a path, and the parameters of a query string.
//!
//! A refusal names the part or the parameter and what may be there, in words of this API; it does not repeat what was sent.

use axum::extract::path::ErrorKind as PathError;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{self, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use concordat_documents::parse_message::{self, expected_kind};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::{ErrorKind, sources};
use serde::de::{DeserializeOwned, value};
use serde_path_to_error::Error as Located;

/// Where all paths and parameters are described.
const SEE_ROUTES: &str = "`GET /v1/openapi.json` describes every path and its parameters";

/// The variable parts of the path; a path whose parts cannot be parsed as `T` names nothing.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                let named = RawPathParams::from_request_parts(parts, state).await.ok();
                let last = named.and_then(|named| named.iter().last().map(|(name, _)| name.to_owned()));
                Err(of_path(&rejection, last))
            }
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
            Err(rejection) => Err(of_query(&rejection)),
        }
    }
}

/// What is wrong with a path whose last variable part has the name `last`.
fn of_path(rejection: &PathRejection, last: Option<String>) -> Problem {
    let error = if let PathRejection::FailedToDeserializePathParams(failed) = rejection {
        Some(failed.kind())
    } else {
        None
    };
    let (field, detail) = match error {
        Some(PathError::InvalidUtf8InPathParam { key }) => {
            (Some(key.clone()), format!("`{key}` in the path is not text in UTF-8"))
        }
        Some(PathError::ParseError { expected_type, .. }) => {
            let expected = expected_kind(expected_type).unwrap_or("something else");
            let name = last.as_deref().unwrap_or("the variable part");
            let detail = format!("`{name}` in the path must be {expected}");
            (last, detail)
        }
        _ => (last, "a part of the path cannot be used here".to_owned()),
    };
    Problem::new(ErrorKind::NotFound, detail).at(field).help(SEE_ROUTES)
}

/// What is wrong with a query string.
fn of_query(rejection: &QueryRejection) -> Problem {
    let located = |source: &(dyn std::error::Error + 'static)| {
        let located: &Located<value::Error> = source.downcast_ref()?;
        let message = located.inner().to_string();
        Some(parse_message::problem("the query string", located.path(), &message))
    };
    sources(rejection)
        .find_map(located)
        .unwrap_or_else(|| Problem::usage("the query string cannot be used here"))
        .help(SEE_ROUTES)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use concordat_documents::query::CatalogQuery;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tail {
        #[serde(rename = "count")]
        _count: u32,
    }

    async fn refused<T: DeserializeOwned + std::fmt::Debug>(query: &str) -> Problem {
        let request = Request::builder().uri(format!("/x{query}")).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        Query::<T>::from_request_parts(&mut parts, &()).await.unwrap_err()
    }

    /// Paths are tested with the routes of a node.
    #[tokio::test]
    async fn query_string_that_is_wrong_is_refused_by_parameter() {
        let cases = [
            (
                refused::<Tail>("").await,
                Some("count"),
                "the field `count` is missing in the query string",
            ),
            (
                refused::<Tail>("?count=secret").await,
                Some("count"),
                "`count` must be a whole number, neither negative nor too large",
            ),
            (
                refused::<Tail>("?count=1&color=secret").await,
                Some("color"),
                "`color` does not exist; write `count`",
            ),
            (
                refused::<CatalogQuery>("?all=secret").await,
                Some("all"),
                "`all` does not exist; write `peer` or `dataset`",
            ),
        ];
        for (problem, field, detail) in cases {
            assert_eq!(problem.code, ErrorKind::Usage);
            assert_eq!((problem.field.as_deref(), problem.detail.as_str()), (field, detail));
            assert!(problem.help.is_some());
        }
    }
}
