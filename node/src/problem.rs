//! How failures are reported to people and programs.
//!
//! Every service has its own error types, and each error has a classification ([`Explain`]). Only this module converts them into a
//! [`Problem`]: an RFC 9457 problem document on the API, a message on standard error and an exit code at the command line.
//!
//! | code | exit | HTTP | |
//! | --- | --- | --- | --- |
//! | `internal` | 1 | 500 | the program or the machine failed |
//! | `usage` | 2 | 400 | wrong usage or input |
//! | `denied` | 3 | 403 | a rule forbids it |
//! | `not_found` | 4 | 404 | it does not exist, or the caller may not know that it does |
//! | `unreachable` | 5 | 503 | a peer or service did not answer |
//! | `integrity` | 6 | 500 | stored bytes are not the bytes that were written |
//! | `locked` | 7 | 401 | a key, a login or a lock is missing |

use std::error::Error;
use std::io;

use concordat_storage::error_kind::ErrorKind;
use serde::{Deserialize, Serialize};

/// What kind of problem it is; decides the exit code and the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The program or the machine failed.
    Internal,
    /// Wrong usage or input.
    Usage,
    /// A rule forbids it.
    Denied,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// A peer or service did not answer.
    Unreachable,
    /// Stored bytes are not the bytes that were written.
    Integrity,
    /// A key, a login or a lock is missing.
    Locked,
}

impl Code {
    /// Exit code of the process.
    pub fn exit(self) -> u8 {
        self.facts().0
    }

    /// HTTP status (RFC 9110).
    pub fn status(self) -> u16 {
        self.facts().1
    }

    fn name(self) -> &'static str {
        self.facts().2
    }

    fn title(self) -> &'static str {
        self.facts().3
    }

    fn facts(self) -> (u8, u16, &'static str, &'static str) {
        match self {
            Self::Internal => (1, 500, "internal", "the program or the machine failed"),
            Self::Usage => (2, 400, "usage", "the request is invalid"),
            Self::Denied => (3, 403, "denied", "this is not permitted"),
            Self::NotFound => (4, 404, "not_found", "nothing with that name exists here"),
            Self::Unreachable => (5, 503, "unreachable", "no answer"),
            Self::Integrity => (6, 500, "integrity", "stored data is not what was written"),
            Self::Locked => (7, 401, "locked", "a key or a login is missing"),
        }
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::Integrity => Self::Integrity,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Machine => Self::Internal,
        }
    }
}

/// What happened, why, and what to do; an RFC 9457 problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the kind of problem, for programs.
    #[serde(rename = "type")]
    uri: String,
    /// The kind, as a code.
    pub code: Code,
    /// The kind, as a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Why, one reason each.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Problem {
    /// A problem of the kind `code`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            uri: format!("urn:concordat:problem:{}", code.name()),
            code,
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            reasons: Vec::new(),
            help: None,
        }
    }

    /// Wrong usage or input.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::new(Code::Usage, detail)
    }

    /// The program or the machine failed while it did `what`.
    pub fn internal(what: &str, error: &dyn Error) -> Self {
        Self::new(Code::Internal, format!("{what}: {}", chain(error)))
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
}

/// An error that knows its classification and how to explain itself.
pub trait Explain: Error {
    /// What kind of problem it is.
    fn code(&self) -> Code;

    /// Why, one reason each, if the error and its sources do not already say it.
    fn reasons(&self) -> Vec<String> {
        Vec::new()
    }

    /// What to do about it.
    fn help(&self) -> Option<String> {
        None
    }
}

impl<E: Explain> From<E> for Problem {
    fn from(error: E) -> Self {
        let disk_full = || is_full_disk(&error).then(|| FREE_DISK_SPACE.to_owned());
        Self {
            help: error.help().or_else(disk_full),
            ..Self::new(error.code(), chain(&error))
        }
        .because(error.reasons())
    }
}

/// What to do when the disk is full.
pub const FREE_DISK_SPACE: &str =
    "the disk is full, or a quota is exhausted: free some space and try again; no partial result was left behind";

/// The sources of the error, outermost first.
fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |source| (**source).source())
}

/// The error and its sources on one line, outermost first; a source that the error before it already quotes is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    for text in sources(error).map(|source| source.to_string().replace('\n', " ")) {
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line
}

fn is_full_disk(error: &dyn Error) -> bool {
    let mut kinds = sources(error).filter_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()));
    kinds.any(|kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// Errors of storage carry their [`ErrorKind`].
macro_rules! explain_by_kind {
    ($($error:ty),+ $(,)?) => {
        $(impl Explain for $error {
            fn code(&self) -> Code {
                self.kind().into()
            }
        })+
    };
}

explain_by_kind!(
    concordat_storage::backup::BackupError,
    concordat_storage::catalog::CatalogError,
    concordat_storage::catalog::ImportError,
    concordat_storage::ingest::IngestError,
    concordat_storage::keys::IdentityError,
    concordat_storage::keys::KeyError,
    concordat_storage::keys::ShareError,
    concordat_storage::ledger::LedgerError,
    concordat_storage::meta::MetaError,
    concordat_storage::data_dir::StorageError,
);

impl Explain for concordat_protocol::schema::InvalidClass {
    fn code(&self) -> Code {
        Code::Usage
    }
}

impl Explain for concordat_protocol::ids::InvalidName {
    fn code(&self) -> Code {
        Code::Usage
    }
}

impl Explain for concordat_protocol::text::InvalidText {
    fn code(&self) -> Code {
        Code::Usage
    }
}

impl Explain for concordat_protocol::time::InvalidTime {
    fn code(&self) -> Code {
        Code::Usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use concordat_storage::keys::KeyError;

    #[test]
    fn each_kind_has_the_exit_code_of_the_contract() {
        let kinds = [
            (ErrorKind::Machine, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Denied, 3),
            (ErrorKind::NotFound, 4),
            (ErrorKind::Unreachable, 5),
            (ErrorKind::Integrity, 6),
            (ErrorKind::Locked, 7),
        ];
        for (kind, exit) in kinds {
            assert_eq!(Code::from(kind).exit(), exit, "{kind:?}");
        }
    }

    #[test]
    fn problem_from_error_includes_its_sources() {
        let error = KeyError::Io {
            action: "read",
            path: "k".into(),
            source: std::io::Error::other("disk on fire"),
        };
        let problem = Problem::from(error);
        assert_eq!(problem.detail, "cannot read `k`: disk on fire");
        assert_eq!(problem.code, Code::Internal);
    }

    #[test]
    fn problem_json_round_trip_keeps_all_fields() {
        let problem = Problem::new(Code::Denied, "no").because(["a", "b"]).help("ask");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "urn:concordat:problem:denied");
        assert_eq!(json["status"], 403);
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    /// The API describes its errors by a type of their own, because an error is made of errors that the documents do not know.
    #[test]
    fn problem_json_is_the_documented_form() {
        for problem in [
            Problem::new(Code::Denied, "no").because(["a"]).help("ask"),
            Problem::usage("wrong"),
        ] {
            let json = serde_json::to_value(&problem).unwrap();
            let document: concordat_documents::problem::ProblemDocument = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&document).unwrap(), json);
        }
    }
}
