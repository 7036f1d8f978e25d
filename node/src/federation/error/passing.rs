//! Errors that pass through the local engine: ours come out as they went in, and those of the engine in our words.
//!
//! The engine wraps an error and shares it between several readers, so ours is found wherever it is in the chain of sources. The text of
//! the engine's own errors may quote values, so only their kind is kept.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use concordat_engine::QueryError;
use datafusion::error::DataFusionError;

use super::FederationError;

/// An error of ours inside of the engine. It is given to the first reader.
#[derive(Debug)]
struct Passing(Mutex<Option<FederationError>>);

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of the query failed")
    }
}

impl Error for Passing {}

impl From<FederationError> for DataFusionError {
    fn from(error: FederationError) -> Self {
        Self::External(Box::new(Passing(Mutex::new(Some(error)))))
    }
}

impl From<DataFusionError> for FederationError {
    fn from(error: DataFusionError) -> Self {
        passed(&error).unwrap_or_else(|| Self::planning(query_error(error)))
    }
}

/// The error of ours that is behind an error of the engine.
fn passed(error: &DataFusionError) -> Option<FederationError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(Passing(ours)) = current.downcast_ref::<Passing>() {
            return ours.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        next = current.source();
    }
    None
}

/// The reason for which the local part of a query has no answer.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other error is the engine's own")]
fn query_error(error: DataFusionError) -> QueryError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
            Ok(ours) => *ours,
            Err(other) => of_engine(&DataFusionError::External(other)),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => query_error(*inner),
        other => of_engine(&other),
    }
}

fn of_engine(error: &DataFusionError) -> QueryError {
    // What the library states of an expression that it has no physical form for. It is one of the text of the query.
    if let DataFusionError::NotImplemented(text) = error.find_root()
        && ["expression InSubquery(", "expression Exists("]
            .iter()
            .any(|test| text.contains(test))
    {
        return QueryError::subquery_outside_of_conditions();
    }
    if matches!(
        error.find_root(),
        DataFusionError::Plan(_) | DataFusionError::SchemaError(..)
    ) {
        return QueryError::Invalid {
            detail: "it cannot be planned; write it in a simpler form".to_owned(),
        };
    }
    QueryError::computing(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use concordat_protocol::error_kind::chain;
    use datafusion::arrow::error::ArrowError;

    use super::*;

    /// How the engine wraps and shares errors.
    const WRAPPED: [fn(DataFusionError) -> DataFusionError; 5] = [
        |error| error,
        |error| DataFusionError::Context("while it ran".to_owned(), Box::new(error)),
        |error| DataFusionError::Shared(Arc::new(error)),
        |error| {
            let shared = DataFusionError::External(Box::new(Arc::new(error)));
            DataFusionError::Context("while it ran".to_owned(), Box::new(shared))
        },
        |error| DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(error))), None),
    ];

    #[test]
    fn our_errors_pass_through_the_engine_as_they_are() {
        for wrapped in WRAPPED {
            let passing = DataFusionError::from(FederationError::usage("a mistake"));
            let found = FederationError::from(wrapped(passing));
            assert!(
                matches!(&found, FederationError::Usage { detail, .. } if detail == "a mistake"),
                "{found:?}"
            );
            let operand = "code".to_owned();
            let external = DataFusionError::External(Box::new(QueryError::SumTooLarge { operand }));
            let found = FederationError::from(wrapped(external));
            let FederationError::Query { source, .. } = &found else {
                panic!("{found:?}")
            };
            assert!(
                matches!(source.as_ref(), QueryError::SumTooLarge { operand } if operand == "code"),
                "{found:?}"
            );
        }
        let late = DataFusionError::External(Box::new(QueryError::Deadline));
        let found = FederationError::from(late.context("while it ran"));
        assert!(
            matches!(&found, FederationError::Query { source, .. } if matches!(source.as_ref(), QueryError::Deadline)),
            "{found:?}"
        );
    }

    #[test]
    fn texts_of_the_engine_reach_no_one() {
        let text = || "Cannot cast string 'Never smoker'".to_owned();
        let errors: [fn(String) -> DataFusionError; 7] = [
            DataFusionError::Execution,
            DataFusionError::Plan,
            DataFusionError::Internal,
            DataFusionError::NotImplemented,
            DataFusionError::ResourcesExhausted,
            |text| DataFusionError::ArrowError(Box::new(ArrowError::CastError(text)), None),
            |text| DataFusionError::External(text.into()),
        ];
        for error in errors {
            for wrapped in WRAPPED {
                let found = FederationError::from(wrapped(error(text())));
                let line = chain(&found);
                for word in ["smoker", "External error", "Arrow error", "while it ran"] {
                    assert!(!line.contains(word), "{line}");
                }
            }
        }
    }

    #[test]
    fn test_of_a_subquery_that_is_not_computed_has_advice() {
        for test in ["InSubquery(InSubquery { expr", "Exists(Exists { subquery"] {
            let text = format!("Physical plan does not support logical expression {test}");
            let found = FederationError::from(DataFusionError::NotImplemented(text));
            assert!(
                chain(&found).contains("in `WHERE` and `HAVING` only"),
                "{test}: {found:?}"
            );
        }
    }
}
