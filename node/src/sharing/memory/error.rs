//! Why nothing is answered from a memory.

use concordat_disclosure::{ReplayError, SpaceError, Spent};
use concordat_engine::QueryError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::time::Timestamp;
use concordat_storage::answers::AnswersError;
use concordat_storage::catalog::CatalogError;
use concordat_storage::meta::MetaError;

/// Why nothing is answered from a memory.
#[derive(Debug, thiserror::Error)]
pub(in crate::sharing) enum MemoryError {
    /// The state is an older copy, and answers since then may be missing.
    #[error(
        "answers about the collection are known until {} only, because the node was restored",
        known_until.exact()
    )]
    OlderCopy {
        /// The time of the copy.
        known_until: Timestamp,
    },
    /// The loss of privacy is used up.
    #[error(transparent)]
    Spent(#[from] Spent),
    /// The logs cannot be opened.
    #[error("the logs of answers cannot be opened")]
    Catalog(#[from] CatalogError),
    /// The records cannot be read or written.
    #[error("the records of answers cannot be read or written")]
    Answers(#[from] AnswersError),
    /// The records do not lead to a memory.
    #[error("the records of answers are not those of a memory")]
    Replay(#[from] ReplayError),
    /// The state cannot be read or written.
    #[error("the state cannot be read or written")]
    State(#[from] MetaError),
    /// The memory is not open, because writing its records was interrupted.
    #[error("the memory is closed until it is restored from its records")]
    Closed,
    /// There are no random bytes.
    #[error("the system has no random bytes")]
    Random(#[source] getrandom::Error),
    /// The work was interrupted.
    #[error("work on the records of answers was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl MemoryError {
    /// The error as the requester receives it. What is wrong with the records is for the log of this node.
    pub(in crate::sharing) fn to_query_error(&self) -> QueryError {
        let text = match self {
            Self::OlderCopy { .. } => "the holder was restored from a copy, and a data steward of it has to acknowledge that answers since then \
                                       do not count"
                .to_owned(),
            Self::Spent(spent) => spent.to_string(),
            Self::Replay(ReplayError::Space(SpaceError::TooFewSubjects { .. })) => {
                "the collection has fewer subjects than the smallest cell".to_owned()
            }
            Self::Catalog(_)
            | Self::Answers(_)
            | Self::Replay(_)
            | Self::State(_)
            | Self::Closed
            | Self::Random(_)
            | Self::Interrupted(_) => {
                let source = std::error::Error::source(self).map(ToString::to_string);
                tracing::error!(error = %self, source, "nothing is answered below records, because what was answered is not known");
                "the holder cannot read or store what it has answered before".to_owned()
            }
        };
        QueryError::Reported {
            kind: self.kind(),
            text,
        }
    }
}

impl Explain for MemoryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::OlderCopy { .. }
            | Self::Spent(_)
            | Self::Replay(ReplayError::Space(SpaceError::TooFewSubjects { .. })) => ErrorKind::Denied,
            Self::Catalog(source) => source.kind(),
            Self::Answers(source) => source.kind(),
            Self::State(source) => source.kind(),
            Self::Replay(_) => ErrorKind::Integrity,
            Self::Closed | Self::Random(_) | Self::Interrupted(_) => ErrorKind::Internal,
        }
    }
}
