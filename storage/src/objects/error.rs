//! What can go wrong with the place where objects lie, and what to do about it.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
};

use super::ownership::UnknownObjects;
use crate::error_kind::ErrorKind;

/// Why objects cannot be reached where they lie.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Nobody answers, or the connection breaks off.
    #[error(
        "the object store `{place}` cannot be reached; see that it runs and that this machine reaches it, then do it again"
    )]
    Unreachable {
        /// The place.
        place: String,
        /// What the last try ended with.
        #[source]
        source: StoreReply,
    },
    /// An answer takes longer than it may.
    #[error(
        "the object store `{place}` does not answer in time; do it again later, or give it longer with `storage.request_timeout`"
    )]
    Slow {
        /// The place.
        place: String,
        /// What the last try ended with.
        #[source]
        source: StoreReply,
    },
    /// The store answers with an error, or with what is not an answer.
    #[error("the object store `{place}` answers with errors; its own log says more")]
    Failing {
        /// The place.
        place: String,
        /// What the last try ended with.
        #[source]
        source: StoreReply,
    },
    /// The key is not known there, or may not do this.
    #[error(
        "the object store `{place}` refuses the key in `storage.credentials`; see that it is right and may read, write, list and remove there"
    )]
    Denied {
        /// The place.
        place: String,
        /// What the store said.
        #[source]
        source: StoreReply,
    },
    /// The bucket is not there.
    #[error("the object store has no bucket for `{place}`; create it, or correct `storage.objects`")]
    NoBucket {
        /// The place.
        place: String,
        /// What the store said.
        #[source]
        source: StoreReply,
    },
    /// The place bears the marker of another data directory.
    #[error("`{place}` belongs to another data directory; give this one a prefix of its own in `storage.objects`")]
    Taken {
        /// The place.
        place: String,
    },
    /// The marker of this data directory went away.
    #[error("`{place}` no longer bears the marker of this node; what was there may be gone: ask who runs the store")]
    Unmarked {
        /// The place.
        place: String,
    },
    /// A place that is new to this data directory lacks objects of it.
    #[error(
        "`{place}` lacks objects of this node, `{first}` among them; copy them there from where they were, or correct `storage.objects`"
    )]
    Incomplete {
        /// The place.
        place: String,
        /// One of them.
        first: String,
    },
    /// The objects stayed in a store that the configuration no longer names.
    #[error(
        "the objects of this node are in `{place}`; set `storage.objects` to it, or copy them into `objects/` here"
    )]
    Elsewhere {
        /// Where they are.
        place: String,
    },
    /// A snapshot is restored into an empty place only.
    #[error("`{place}` is not empty; restore into a place of its own with `--objects`")]
    Occupied {
        /// The place.
        place: String,
    },
    /// What the configuration says makes no client.
    #[error("the object store `{place}` cannot be used as `[storage]` says")]
    Unusable {
        /// The place.
        place: String,
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
    /// Which objects have to be there is not known.
    #[error("cannot find out which objects have to be in `{place}`")]
    Unlisted {
        /// The place.
        place: String,
        /// Why not.
        #[source]
        source: UnknownObjects,
    },
    /// The work on the catalogue was broken off.
    #[error("looking for the objects of this node was broken off")]
    BrokenOff,
}

/// What a store or the way to it said: a stranger's words, so on one line and only so many of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreReply(String);

impl StoreReply {
    /// The most characters of an error that are repeated.
    const MOST: usize = 700;

    /// The whole chain: why a connection failed, a certificate that is not trusted for instance, is said at its end only.
    pub(super) fn new(error: &object_store::Error) -> Self {
        let mut said = error.to_string();
        let mut next = error.source();
        while let Some(inner) = next {
            let words = inner.to_string();
            if !said.contains(&words) {
                said = format!("{said}: {words}");
            }
            next = inner.source();
        }
        Self::text(&said)
    }

    pub(super) fn text(text: &str) -> Self {
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self(plain.take(Self::MOST).collect())
    }
}

/// What is wrong with a file of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It is not there.
    #[error("is not there; put it back, or correct `storage.credentials`")]
    Missing,
    /// Others on this machine can read it.
    #[error("can be read by others; run `chmod 600` on it")]
    Exposed,
    /// The system does not let this process read it.
    #[error("cannot be read; see that it belongs to the account that runs the node")]
    Unreadable,
    /// A line is none that belongs there.
    #[error(
        "has a line {0} that is neither `aws_access_key_id = …`, `aws_secret_access_key = …` nor `aws_session_token = …`"
    )]
    Line(usize),
    /// Something stands there twice.
    #[error("says on line {0} what it said before; it may hold one key")]
    Twice(usize),
    /// One half of the key is not there.
    #[error("lacks `{0} = …`")]
    Lacks(&'static str),
}

impl PlaceError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::Failing { .. }
            | Self::Denied { .. }
            | Self::NoBucket { .. } => ErrorKind::Unreachable,
            Self::Taken { .. }
            | Self::Incomplete { .. }
            | Self::Elsewhere { .. }
            | Self::Occupied { .. }
            | Self::Unusable { .. } => ErrorKind::Usage,
            Self::Unmarked { .. } => ErrorKind::Integrity,
            Self::Credentials { reason, .. } => match reason {
                CredentialsError::Missing | CredentialsError::Unreadable => ErrorKind::Locked,
                CredentialsError::Exposed
                | CredentialsError::Line(_)
                | CredentialsError::Twice(_)
                | CredentialsError::Lacks(_) => ErrorKind::Usage,
            },
            Self::Unlisted { source, .. } => source.kind,
            Self::BrokenOff => ErrorKind::Machine,
        }
    }

    pub(super) fn credentials(path: &Path, reason: CredentialsError) -> Self {
        Self::Credentials {
            path: path.to_owned(),
            reason,
        }
    }

    /// Takes the error out of that of an object store, if it carries one.
    ///
    /// # Errors
    /// The error as it was, if it carries none.
    pub(crate) fn within(error: object_store::Error) -> Result<Self, object_store::Error> {
        if let object_store::Error::Generic { store, source } = error {
            return source
                .downcast::<Self>()
                .map(|place| *place)
                .map_err(|source| object_store::Error::Generic { store, source });
        }
        Err(error)
    }
}

/// As the object store interface reports it.
impl From<PlaceError> for object_store::Error {
    fn from(error: PlaceError) -> Self {
        Self::Generic {
            store: "object store",
            source: Box::new(error),
        }
    }
}
