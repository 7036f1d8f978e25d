//! Kinds of errors, so that every caller reacts the same way, and how an error explains itself.
//!
//! Each area has its own error type and implements [`Explain`] beside it. What happened is the error itself, with its sources; the
//! kind decides the exit code of the command line, the status of the API and the code of a refusal.

use std::error::Error;

use serde::{Deserialize, Serialize};

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The caller asked for something impossible (wrong input, wrong permissions on a file they own).
    Usage,
    /// A rule forbids it.
    Denied,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// A peer or service did not answer.
    Unreachable,
    /// A document that a person gave does not pass verification: its signature, or what it continues from.
    Unverified,
    /// Stored bytes are not the bytes that were written, or a peer's bytes are not what it signed.
    Integrity,
    /// A key or a login is missing.
    Locked,
    /// Another process uses it.
    InUse,
    /// The machine or the program failed.
    Internal,
}

impl ErrorKind {
    /// The kind in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Unverified => "unverified",
            Self::Integrity => "integrity",
            Self::Locked => "locked",
            Self::InUse => "in_use",
            Self::Internal => "internal",
        }
    }
}

/// An error that knows its kind and how to explain itself.
pub trait Explain: Error {
    /// What kind of error it is.
    fn kind(&self) -> ErrorKind;

    /// Why, one reason each, if the error and its sources do not already say it.
    fn reasons(&self) -> Vec<String> {
        Vec::new()
    }

    /// What to do about it.
    fn help(&self) -> Option<String> {
        None
    }
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

/// The sources of the error, outermost first.
pub fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |source| (**source).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_kind_is_its_text_in_documents() {
        for kind in [
            ErrorKind::Usage,
            ErrorKind::Denied,
            ErrorKind::NotFound,
            ErrorKind::Unreachable,
            ErrorKind::Unverified,
            ErrorKind::Integrity,
            ErrorKind::Locked,
            ErrorKind::InUse,
            ErrorKind::Internal,
        ] {
            let mut bytes = Vec::new();
            ciborium::into_writer(&kind, &mut bytes).unwrap();
            let text: String = ciborium::from_reader(bytes.as_slice()).unwrap();
            assert_eq!(text, kind.as_str());
        }
    }
}
