//! Why a question at home has no answer, or only the beginning of one.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "sources beyond the named ones are all the same here"
)]

use concordat_protocol::ids::{DatasetName, DatasetRef, InstitutionId};
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use datafusion::error::DataFusionError;

use crate::fault::{Code, Explain};
use crate::iam::IamError;
use crate::network::NetworkError;

/// Why a query failed, before its first row or after its last.
#[derive(Debug, thiserror::Error)]
pub enum QueryFault {
    /// The text is not a question that can be asked.
    #[error("{detail}")]
    Usage {
        /// What is wrong with it.
        detail: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// The person's roles do not include querying.
    #[error(transparent)]
    NotPermitted(#[from] IamError),
    /// Nobody shares the dataset with us, or not for this purpose.
    #[error("there is no grant for `{table}`: {reason}")]
    NoGrant {
        /// The table as it was asked for.
        table: String,
        /// Why none of the grants at hand will do.
        reason: String,
        /// The command that asks for one.
        help: String,
    },
    /// Several purposes are possible and none was named.
    #[error("the grant for `{dataset}` is for several purposes, so the query has to name its own")]
    PurposeNeeded {
        /// The dataset in question.
        dataset: DatasetRef,
        /// What the grant allows.
        allowed: Vec<Purpose>,
    },
    /// A member's tier is too low for what its share of the question needs.
    #[error("`{dataset}` is shared at the tier `{tier}`, and this question needs its records: {reason}")]
    Tier {
        /// The dataset in question.
        dataset: DatasetRef,
        /// The tier of our grant.
        tier: Tier,
        /// Why the question could not be put as an aggregate.
        reason: String,
    },
    /// Members hold columns that cannot be put under each other.
    #[error(
        "`{column}` is {left_type} at {left} and {right_type} at {right}, and the two cannot be put into one column"
    )]
    Disunion {
        /// The column.
        column: String,
        /// One member.
        left: InstitutionId,
        /// Its type.
        left_type: String,
        /// The other member.
        right: InstitutionId,
        /// Its type.
        right_type: String,
    },
    /// A provider did not answer the question.
    #[error("{provider} refused the query")]
    Refused {
        /// Who refused.
        provider: InstitutionId,
        /// Why.
        refusal: Refusal,
    },
    /// The answer was cut by the provider; what came before is genuine but not all.
    #[error("{provider} cut the answer after {rows} rows")]
    Cut {
        /// Who cut it.
        provider: InstitutionId,
        /// Rows received from that provider until then.
        rows: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The provider cannot be reached, or went away.
    #[error("{provider} cannot be asked")]
    Unreachable {
        /// Who.
        provider: InstitutionId,
        /// What happened on the way.
        #[source]
        source: NetworkError,
    },
    /// The roster names no node for the institution.
    #[error("{provider} is not an active member of the consortium")]
    NotMember {
        /// Who.
        provider: InstitutionId,
    },
    /// The provider has another key than the grant was agreed with.
    #[error(
        "{provider} has another key now than the one that the grant was agreed with; compare fingerprints by telephone and ask for a new grant"
    )]
    OtherKey {
        /// Who.
        provider: InstitutionId,
    },
    /// The provider broke the protocol.
    #[error("{provider} sent what is no proper answer: {detail}")]
    Misbehaved {
        /// Who.
        provider: InstitutionId,
        /// What was wrong.
        detail: String,
    },
    /// The local part of the work failed.
    #[error("the query cannot be planned or run")]
    Engine(#[source] Box<DataFusionError>),
    /// This node could not write its ledger or read its state.
    #[error("{what}")]
    Machine {
        /// What could not be done.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl QueryFault {
    /// A mistake in the text of the question.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::Usage {
            detail: detail.into(),
            help: None,
        }
    }

    /// The same with what to write instead.
    pub fn usage_with(detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            detail: detail.into(),
            help: Some(help.into()),
        }
    }

    /// No grant that fits, and the command that asks for one.
    pub(super) fn no_grant(
        table: String,
        ask: &DatasetName,
        at: Option<&InstitutionId>,
        reason: impl Into<String>,
    ) -> Self {
        let provider = at.map_or("INSTITUTION", InstitutionId::as_str);
        Self::NoGrant {
            help: format!("concordat grant request {provider}/{ask} --purpose PURPOSE --until DATE"),
            table,
            reason: reason.into(),
        }
    }

    /// The same without a grant for another reason: what helps is something else than a request.
    pub(super) fn with_help(self, remedy: String) -> Self {
        match self {
            Self::NoGrant { table, reason, .. } => Self::NoGrant {
                table,
                reason,
                help: remedy,
            },
            other => other,
        }
    }

    pub(super) fn machine(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Machine {
            what: what.into(),
            source: Box::new(source),
        }
    }

    /// Why, one reason each, where a peer has given some.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => {
                refusal.reasons.iter().map(|reason| reason.text.clone()).collect()
            }
            Self::PurposeNeeded { allowed, .. } => vec![format!(
                "allowed purposes: {}",
                allowed.iter().map(Purpose::to_string).collect::<Vec<_>>().join(", ")
            )],
            _ => Vec::new(),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } => help.clone(),
            Self::NoGrant { help, .. } => Some(help.clone()),
            Self::PurposeNeeded { .. } => Some("add `--purpose PURPOSE`".to_owned()),
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => {
                let remedies: Vec<_> = refusal
                    .reasons
                    .iter()
                    .filter_map(|reason| reason.remedy.clone())
                    .collect();
                (!remedies.is_empty()).then(|| remedies.join("; "))
            }
            Self::Tier { .. } => {
                Some("ask with count, sum and avg grouped by columns, or request `records`".to_owned())
            }
            Self::Unreachable { .. } => Some("see `concordat status` for who is connected".to_owned()),
            _ => None,
        }
    }

    /// Whether a rule stands against it rather than a mistake or a failure.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::NoGrant { .. } | Self::Tier { .. } | Self::NotPermitted(_) => true,
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => refusal.code == RefusalCode::Denied,
            _ => false,
        }
    }
}

impl From<QueryFault> for DataFusionError {
    fn from(fault: QueryFault) -> Self {
        Self::External(Box::new(fault))
    }
}

impl From<DataFusionError> for QueryFault {
    /// Takes out a fault of ours that travelled through the engine; everything else is the engine's own.
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Self>() {
                Ok(fault) => *fault,
                Err(other) => Self::Engine(Box::new(DataFusionError::External(other))),
            },
            DataFusionError::Context(_, inner) => Self::from(*inner),
            other => Self::Engine(Box::new(other)),
        }
    }
}

impl Explain for QueryFault {
    fn code(&self) -> Code {
        match self {
            Self::Usage { .. } | Self::PurposeNeeded { .. } | Self::Disunion { .. } | Self::Engine(_) => Code::Usage,
            Self::NotPermitted(source) => source.code(),
            Self::NoGrant { .. } | Self::Tier { .. } => Code::Denied,
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => match refusal.code {
                RefusalCode::Invalid => Code::Usage,
                RefusalCode::Denied | RefusalCode::CountersignFirst => Code::Denied,
                RefusalCode::NotFound => Code::NotFound,
                RefusalCode::Busy | RefusalCode::Failed => Code::Unreachable,
            },
            Self::NotMember { .. } => Code::NotFound,
            Self::OtherKey { .. } => Code::Denied,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::Misbehaved { .. } => Code::Integrity,
            Self::Machine { .. } => Code::Fault,
        }
    }

    fn reasons(&self) -> Vec<String> {
        Self::reasons(self)
    }

    fn help(&self) -> Option<String> {
        Self::help(self)
    }
}
