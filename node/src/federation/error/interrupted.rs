//! Why an answer whose connection was lost ends where it was.

use std::fmt;

use concordat_protocol::ids::InstitutionId;

/// Why an answer that was interrupted cannot be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotContinued {
    /// The provider did not answer again in time.
    NotBack,
    /// It was interrupted more often than an answer is continued.
    TooOften,
    /// The answer to the same query has other columns now.
    OtherColumns,
    /// The answer to the same query has other rows now, or fewer, where those are that had arrived.
    OtherRows,
    /// This node is stopping.
    Stopping,
}

impl NotContinued {
    /// Whether the provider is one that does not answer.
    pub(super) const fn is_absence(self) -> bool {
        match self {
            Self::NotBack | Self::TooOften => true,
            Self::OtherColumns | Self::OtherRows | Self::Stopping => false,
        }
    }

    /// What to do about it.
    pub(super) fn help(self, provider: &InstitutionId) -> String {
        match self {
            Self::NotBack => format!("ask `{provider}` whether its node runs, then query again"),
            Self::TooOften => {
                format!("ask `{provider}` whether its node keeps running, or query fewer rows at a time")
            }
            Self::OtherColumns | Self::OtherRows => {
                "query again for the answer as it is now; rows of both answers do not belong together".to_owned()
            }
            Self::Stopping => "query again once this node runs".to_owned(),
        }
    }
}

impl fmt::Display for NotContinued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBack => "its node did not answer again in time",
            Self::TooOften => "the connection is lost too often",
            Self::OtherColumns => "the same query has other columns now, because the dataset or the grant has changed",
            Self::OtherRows => "the same query has other rows now, because the dataset or the grant has changed",
            Self::Stopping => "this node is stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::error_kind::{ErrorKind, Explain};

    use super::*;
    use crate::federation::error::FederationError;

    #[test]
    fn interrupted_answer_states_its_rows_and_what_to_do() {
        let reasons = [
            (NotContinued::NotBack, true, false),
            (NotContinued::TooOften, true, false),
            (NotContinued::OtherColumns, false, true),
            (NotContinued::OtherRows, false, false),
            (NotContinued::Stopping, false, false),
        ];
        for (reason, is_absent, depends_on_columns) in reasons {
            let error = FederationError::Interrupted {
                provider: "aachen".parse().unwrap(),
                rows: 17,
                reason,
            };
            let text = error.to_string();
            assert!(text.contains("aachen was lost after 17 rows"), "{text}");
            assert!(text.ends_with(&reason.to_string()), "{text}");
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            assert!(error.help().is_some(), "{reason:?}");
            assert!(!error.is_denial());
            assert_eq!(error.absent_member().is_some(), is_absent, "{reason:?}");
            assert_eq!(error.depends_on_columns(), depends_on_columns, "{reason:?}");
        }
    }
}
