//! How failures are reported to people and programs.
//!
//! Every area has its own error types, and each error explains itself ([`Explain`]). Only this module converts them into a
//! [`Problem`]: an RFC 9457 problem document on the API, a message on standard error and an exit code at the command line.
//!
//! | code | exit | HTTP | |
//! | --- | --- | --- | --- |
//! | `internal` | 1 | 500 | the program or the machine failed |
//! | `usage` | 2 | 400 | wrong usage or input |
//! | `denied` | 3 | 403 | a rule forbids it |
//! | `not_found` | 4 | 404 | it does not exist, or the caller may not know that it does |
//! | `unreachable` | 5 | 503 | a peer or service did not answer |
//! | `unverified` | 2 | 422 | a document that was given does not pass verification |
//! | `integrity` | 6 | 500 | stored bytes are not the bytes that were written, or a peer's are not what it signed |
//! | `locked` | 7 | 401 | a key or a login is missing |
//! | `in_use` | 7 | 409 | another process uses it |

use std::error::Error;
use std::io;

use concordat_protocol::error_kind::{ErrorKind, Explain, chain, sources};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A problem document (RFC 9457): what happened, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem, for programs.
    #[serde(rename = "type")]
    uri: String,
    /// The kind, as a code: `internal`, `usage`, `denied`, `not_found`, `unreachable`, `unverified`, `integrity`, `locked` or `in_use`.
    #[schema(value_type = String)]
    pub code: ErrorKind,
    /// The kind, as a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The part of the request that is wrong, if it is one: a part of the path, a parameter, or a field of the body such as
    /// `request.purposes[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why, one reason each.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What a kind of error is at the command line and on the API.
struct Facts {
    exit: u8,
    status: u16,
    title: &'static str,
}

const fn facts(kind: ErrorKind) -> Facts {
    let (exit, status, title) = match kind {
        ErrorKind::Internal => (1, 500, "the program or the machine failed"),
        ErrorKind::Usage => (2, 400, "the request is invalid"),
        ErrorKind::Denied => (3, 403, "this is not permitted"),
        ErrorKind::NotFound => (4, 404, "nothing with that name exists here"),
        ErrorKind::Unreachable => (5, 503, "no answer"),
        ErrorKind::Unverified => (2, 422, "the document that was given does not pass verification"),
        ErrorKind::Integrity => (6, 500, "data is not what was written or signed"),
        ErrorKind::Locked => (7, 401, "a key or a login is missing"),
        ErrorKind::InUse => (7, 409, "it is in use"),
    };
    Facts { exit, status, title }
}

impl Problem {
    /// A problem of the kind `code`.
    pub fn new(code: ErrorKind, detail: impl Into<String>) -> Self {
        let facts = facts(code);
        Self {
            uri: format!("urn:concordat:problem:{}", code.as_str()),
            code,
            title: facts.title.to_owned(),
            status: facts.status,
            detail: detail.into(),
            field: None,
            reasons: Vec::new(),
            help: None,
        }
    }

    /// Wrong usage or input.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, detail)
    }

    /// The program or the machine failed while it did `what`.
    pub fn internal(what: &str, error: &dyn Error) -> Self {
        Self::new(ErrorKind::Internal, format!("{what}: {}", chain(error)))
    }

    /// Adds which part of the request is wrong.
    #[must_use]
    pub fn at(mut self, field: Option<String>) -> Self {
        self.field = field;
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds why, one reason each.
    #[must_use]
    pub fn because<R: Into<String>>(mut self, reasons: impl IntoIterator<Item = R>) -> Self {
        self.reasons.extend(reasons.into_iter().map(Into::into));
        self
    }

    /// Exit code of a process that ends with this problem.
    pub const fn exit_code(&self) -> u8 {
        facts(self.code).exit
    }
}

impl<E: Explain> From<E> for Problem {
    fn from(error: E) -> Self {
        let disk_full = || sources(&error).any(has_no_space).then(|| FREE_DISK_SPACE.to_owned());
        Self {
            help: error.help().or_else(disk_full),
            ..Self::new(error.kind(), chain(&error))
        }
        .because(error.reasons())
    }
}

/// The problem document as a response. Its extension is the problem itself, for the log of the daemon.
#[cfg(feature = "server")]
impl axum_core::response::IntoResponse for Problem {
    fn into_response(self) -> axum_core::response::Response {
        use std::sync::Arc;

        use http::{StatusCode, header::CONTENT_TYPE};

        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let document = serde_json::to_vec(&self).unwrap_or_default();
        let media = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, media, document).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// What to do when the disk is full.
pub const FREE_DISK_SPACE: &str =
    "the disk is full, or a quota is exhausted: free some space and try again; no partial result was left behind";

/// Whether an error, or what caused it, is that there is no space left on a disk.
pub fn is_full_disk(error: &(dyn Error + 'static)) -> bool {
    has_no_space(error) || sources(error).any(has_no_space)
}

fn has_no_space(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `k`")]
    struct Unread(#[source] io::Error);

    impl Explain for Unread {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Internal
        }
    }

    #[test]
    fn each_kind_has_the_exit_code_of_the_contract() {
        let kinds = [
            (ErrorKind::Internal, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Denied, 3),
            (ErrorKind::NotFound, 4),
            (ErrorKind::Unreachable, 5),
            (ErrorKind::Unverified, 2),
            (ErrorKind::Integrity, 6),
            (ErrorKind::Locked, 7),
            (ErrorKind::InUse, 7),
        ];
        for (kind, exit) in kinds {
            assert_eq!(Problem::new(kind, "").exit_code(), exit, "{kind:?}");
        }
    }

    #[test]
    fn status_shows_which_side_is_responsible() {
        let status = |kind| Problem::new(kind, "").status;
        assert_eq!(status(ErrorKind::Unverified), 422);
        for kind in [
            ErrorKind::Usage,
            ErrorKind::Denied,
            ErrorKind::NotFound,
            ErrorKind::Unverified,
            ErrorKind::InUse,
        ] {
            assert!((400..500).contains(&status(kind)), "{kind:?}");
        }
        for kind in [ErrorKind::Internal, ErrorKind::Integrity, ErrorKind::Unreachable] {
            assert!(status(kind) >= 500, "{kind:?}");
        }
    }

    #[test]
    fn problem_from_error_includes_its_sources() {
        let problem = Problem::from(Unread(io::Error::other("disk on fire")));
        assert_eq!(problem.detail, "cannot read `k`: disk on fire");
        assert_eq!(problem.code, ErrorKind::Internal);
        let full = Problem::from(Unread(io::Error::from(io::ErrorKind::StorageFull)));
        assert_eq!(full.help.as_deref(), Some(FREE_DISK_SPACE));
    }

    #[test]
    fn problem_json_round_trip_keeps_all_fields() {
        let problem = Problem::new(ErrorKind::Denied, "no").because(["a", "b"]).help("ask");
        let problem = problem.at(Some("request.purposes[0]".to_owned()));
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "urn:concordat:problem:denied");
        assert_eq!(json["code"], "denied");
        assert_eq!(json["status"], 403);
        assert_eq!(json["field"], "request.purposes[0]");
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }
}
