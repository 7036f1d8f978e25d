//! Errors of the location of objects, and what to do about them.

use std::{
    error::Error as _,
    io,
    path::{Path, PathBuf},
};

use super::ownership::UnknownObjects;
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why the location of the objects cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// There is no response, or the connection is lost.
    #[error(
        "the object store `{location}` cannot be reached; check that it is running and that this machine can reach it, then try again"
    )]
    Unreachable {
        /// The location.
        location: String,
        /// The result of the last attempt.
        #[source]
        source: StoreReply,
    },
    /// The response takes too long.
    #[error(
        "the object store `{location}` does not answer in time; try again later, or raise `storage.request_timeout`"
    )]
    Slow {
        /// The location.
        location: String,
        /// The result of the last attempt.
        #[source]
        source: StoreReply,
    },
    /// The store returns an error, or an invalid response.
    #[error("the object store `{location}` answers with errors; see its log")]
    Failing {
        /// The location.
        location: String,
        /// The result of the last attempt.
        #[source]
        source: StoreReply,
    },
    /// The store does not know the key, or does not allow it to do this.
    #[error(
        "the object store `{location}` rejects the key in `storage.credentials`; check that it is right and may read, write, list and delete there"
    )]
    Denied {
        /// The location.
        location: String,
        /// The response of the store.
        #[source]
        source: StoreReply,
    },
    /// There is no such bucket.
    #[error("the object store has no bucket for `{location}`; create it, or correct `storage.objects`")]
    NoBucket {
        /// The location.
        location: String,
        /// The response of the store.
        #[source]
        source: StoreReply,
    },
    /// The location has the ownership marker of another data directory.
    #[error("`{location}` belongs to another data directory; use a different prefix for this one in `storage.objects`")]
    OwnedByOther {
        /// The location.
        location: String,
    },
    /// The ownership marker of this data directory was removed.
    #[error(
        "`{location}` no longer has the ownership marker of this node; its objects may be lost: ask the administrator of the store"
    )]
    MarkerMissing {
        /// The location.
        location: String,
    },
    /// A location that is new to this data directory does not have all of its objects.
    #[error(
        "objects of this node are missing in `{location}`, including `{first}`; copy them there from their previous location, or correct `storage.objects`"
    )]
    Incomplete {
        /// The location.
        location: String,
        /// One of them.
        first: String,
    },
    /// The objects are still in a store that is no longer configured.
    #[error(
        "the objects of this node are in `{location}`; set `storage.objects` to it, or copy them into `objects/` here"
    )]
    Elsewhere {
        /// Where they are.
        location: String,
    },
    /// A snapshot is restored only into an empty location.
    #[error("`{location}` is not empty; restore into an empty location with `--objects`")]
    Occupied {
        /// The location.
        location: String,
    },
    /// The settings are unusable.
    #[error("the object store `{location}` cannot be used with the settings in `[storage]`")]
    Unusable {
        /// The location.
        location: String,
        /// Why not.
        #[source]
        source: StoreReply,
    },
    /// The file with the key cannot be used.
    #[error("the credentials file `{}` {reason}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: CredentialsError,
    },
    /// There is something else in place of an object in the data directory, or of its folder.
    #[error("`{path}` in the folder of the objects is a link, or not a regular file; restore the object from a backup")]
    NotAFile {
        /// The path of the object.
        path: String,
        /// What was found.
        #[source]
        source: io::Error,
    },
    /// It is unknown which objects must be there.
    #[error("cannot determine which objects must be in `{location}`")]
    Unlisted {
        /// The location.
        location: String,
        /// Why not.
        #[source]
        source: UnknownObjects,
    },
    /// Reading the catalog was interrupted.
    #[error("listing the objects of this node was interrupted")]
    Interrupted,
}

/// An error text from a store or the connection to it. It is untrusted, so it is limited to one line and a maximum length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreReply(String);

impl StoreReply {
    /// Most characters of an error text.
    const MAX_CHARS: usize = 700;

    /// The whole error chain: the reason why a connection failed, such as an untrusted certificate, is only at its end.
    pub(super) fn new(error: &object_store::Error) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(inner) = next {
            let next_text = inner.to_string();
            if !text.contains(&next_text) {
                text = format!("{text}: {next_text}");
            }
            next = inner.source();
        }
        Self::text(&text)
    }

    pub(super) fn text(text: &str) -> Self {
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self(plain.take(Self::MAX_CHARS).collect())
    }
}

/// What is wrong with a credentials file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It does not exist.
    #[error("does not exist; restore it, or correct `storage.credentials`")]
    Missing,
    /// Other accounts on this machine can read it.
    #[error("can be read by others; run `chmod 600` on it")]
    Exposed,
    /// This process may not read it.
    #[error("cannot be read; check that it belongs to the account that runs the node")]
    Unreadable,
    /// A line is invalid.
    #[error(
        "is invalid in line {0}, which is neither `aws_access_key_id = …`, `aws_secret_access_key = …` nor `aws_session_token = …`"
    )]
    Line(usize),
    /// A setting occurs twice.
    #[error("repeats a setting in line {0}; it may contain one key")]
    Twice(usize),
    /// One half of the key is missing.
    #[error("does not contain `{0} = …`")]
    Lacks(&'static str),
}

impl Explain for LocationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::Failing { .. }
            | Self::Denied { .. }
            | Self::NoBucket { .. } => ErrorKind::Unreachable,
            Self::OwnedByOther { .. }
            | Self::Incomplete { .. }
            | Self::Elsewhere { .. }
            | Self::Occupied { .. }
            | Self::Unusable { .. } => ErrorKind::Usage,
            Self::MarkerMissing { .. } | Self::NotAFile { .. } => ErrorKind::Integrity,
            Self::Credentials { reason, .. } => match reason {
                CredentialsError::Missing | CredentialsError::Unreadable => ErrorKind::Locked,
                CredentialsError::Exposed
                | CredentialsError::Line(_)
                | CredentialsError::Twice(_)
                | CredentialsError::Lacks(_) => ErrorKind::Usage,
            },
            Self::Unlisted { source, .. } => source.kind,
            Self::Interrupted => ErrorKind::Internal,
        }
    }
}

impl LocationError {
    pub(super) fn credentials(path: &Path, reason: CredentialsError) -> Self {
        Self::Credentials {
            path: path.to_owned(),
            reason,
        }
    }

    /// Extracts this error from an error of an object store, if it contains one.
    ///
    /// # Errors
    /// The unchanged error, if it contains none.
    pub(crate) fn within(error: object_store::Error) -> Result<Self, object_store::Error> {
        if let object_store::Error::Generic { store, source } = error {
            return source
                .downcast::<Self>()
                .map(|location| *location)
                .map_err(|source| object_store::Error::Generic { store, source });
        }
        Err(error)
    }
}

/// Wraps the error for the object store interface.
impl From<LocationError> for object_store::Error {
    fn from(error: LocationError) -> Self {
        Self::Generic {
            store: "object store",
            source: Box::new(error),
        }
    }
}
