//! Why a federated query has no answer, or an incomplete one.

mod interrupted;
mod passing;
mod retry;

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{CollectionName, DatasetRef, InstitutionId};
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};

use crate::iam::IamError;
use concordat_engine::QueryError;
use concordat_network::NetworkError;

pub(in crate::federation) use interrupted::NotContinued;

/// Why a query failed, before its first row or after its last.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// The text is not a valid query.
    #[error("{detail}")]
    Usage {
        /// What is wrong with it.
        detail: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// A holder would refuse the query for this reason, so it was not sent.
    #[error("{}", about(dataset.as_ref(), source))]
    Query {
        /// The dataset, if the reason is about one.
        dataset: Option<DatasetRef>,
        /// The reason.
        #[source]
        source: Box<QueryError>,
    },
    /// The answer would lack the part of a member.
    #[error("the answer would not be complete")]
    Incomplete {
        /// What is missing, one sentence each.
        missing: Vec<String>,
    },
    /// None of the members that the query needs can take part.
    #[error("no member's part of `{table}` is left")]
    NoPart {
        /// The table as named in the query.
        table: String,
        /// Why each of them is missing, one sentence each.
        missing: Vec<String>,
    },
    /// The answer has other columns than those that the query was planned on.
    #[error("the columns of `{dataset}` are not those that this query was planned on: the dataset has changed")]
    ColumnsChanged {
        /// The dataset.
        dataset: DatasetRef,
    },
    /// The person's roles do not include querying.
    #[error(transparent)]
    NotPermitted(#[from] IamError),
    /// No member shares the dataset with us, or not for this purpose.
    #[error("there is no grant for `{table}`: {reason}")]
    NoGrant {
        /// The table as named in the query.
        table: String,
        /// Why none of our grants can be used.
        reason: String,
        /// The command that requests one.
        help: String,
    },
    /// Several purposes are possible and none was named.
    #[error("the grant for `{dataset}` is for several purposes, so the query has to name its own")]
    PurposeNeeded {
        /// The dataset.
        dataset: DatasetRef,
        /// The purposes that the grant allows.
        allowed: Vec<Purpose>,
    },
    /// A member's tier is too low for its contribution to the query.
    #[error("`{dataset}` is shared at the tier `{tier}`, and this query needs its records: {reason}")]
    Tier {
        /// The dataset.
        dataset: DatasetRef,
        /// The tier of our grant.
        tier: Tier,
        /// Why the query could not be sent as an aggregate.
        reason: String,
    },
    /// Members have columns of the same name that cannot be combined into one.
    #[error(
        "`{column}` is {left_type} at {left} and {right_type} at {right}, and the two cannot be combined into one column"
    )]
    SchemaMismatch {
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
    /// Members declare a column in different ways, and what they have in common does not decide the query.
    #[error("{}", of_levels(column, [(left, left_levels), (right, right_levels)], common))]
    LevelsDiffer {
        /// `dataset.column`.
        column: String,
        /// The collection of the dataset.
        collection: CollectionName,
        /// One member.
        left: InstitutionId,
        /// The levels there.
        left_levels: String,
        /// The other member.
        right: InstitutionId,
        /// The levels there.
        right_levels: String,
        /// The labels of the levels that all have.
        common: Vec<String>,
    },
    /// A value of a member would be another one in the type that its column has over all members.
    #[error(
        "a value of `{column}` at {} would change: it is {own} there, and {combined} over all members, which does not have it",
        dataset.institution
    )]
    ValueChanges {
        /// The column, or the aggregate of it, as the query names it.
        column: String,
        /// The member's dataset.
        dataset: DatasetRef,
        /// The type at the member.
        own: String,
        /// The type over all members.
        combined: String,
    },
    /// A provider refused the query.
    #[error("{provider} refused the query")]
    Refused {
        /// The provider.
        provider: InstitutionId,
        /// Why.
        refusal: Refusal,
    },
    /// The provider cut the answer; the rows before that are genuine but incomplete.
    #[error("{provider} cut the answer after {rows} rows")]
    Cut {
        /// The provider.
        provider: InstitutionId,
        /// Rows received from that provider before that.
        rows: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The provider cannot be reached, or the connection was lost.
    #[error("{provider} cannot be reached: {}", cause(source))]
    Unreachable {
        /// The provider.
        provider: InstitutionId,
        /// The network error. It is not a source, because its text has addresses and keys, which mean nothing to a person who queries.
        r#source: NetworkError,
    },
    /// The connection was lost in the middle of an answer that cannot be continued; the rows before that are genuine but incomplete.
    #[error("the connection to {provider} was lost after {rows} rows, and the answer cannot be continued: {reason}")]
    Interrupted {
        /// The provider.
        provider: InstitutionId,
        /// Rows received from that provider before that.
        rows: u64,
        /// Why it cannot.
        reason: NotContinued,
    },
    /// The roster names no node for the institution.
    #[error("{provider} is not an active member of the consortium")]
    NotMember {
        /// The provider.
        provider: InstitutionId,
    },
    /// The provider's key is not the one with which the grant was agreed.
    #[error(
        "{provider} now has a key other than the one that the grant was agreed with; compare fingerprints by telephone and request a new grant"
    )]
    KeyChanged {
        /// The provider.
        provider: InstitutionId,
    },
    /// The provider broke the protocol.
    #[error("{provider} sent an invalid answer: {detail}")]
    Misbehaved {
        /// The provider.
        provider: InstitutionId,
        /// What was wrong.
        detail: String,
    },
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

impl FederationError {
    /// A mistake in the text of the query.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::Usage {
            detail: detail.into(),
            help: None,
        }
    }

    /// As [`Self::usage`], with what to write instead.
    pub fn usage_with(detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            detail: detail.into(),
            help: Some(help.into()),
        }
    }

    /// The reason for which the holder of `dataset` would refuse a query.
    pub(super) fn query(dataset: &DatasetRef, source: QueryError) -> Self {
        Self::Query {
            dataset: Some(dataset.clone()),
            source: Box::new(source),
        }
    }

    /// The reason for which a query cannot be planned.
    pub(super) fn planning(source: QueryError) -> Self {
        Self::Query {
            dataset: None,
            source: Box::new(source),
        }
    }

    /// No grant fits; the help names the command that requests one.
    pub(super) fn no_grant(
        table: String,
        collection: &CollectionName,
        at: Option<&InstitutionId>,
        reason: impl Into<String>,
    ) -> Self {
        let provider = at.map_or("INSTITUTION", InstitutionId::as_str);
        Self::NoGrant {
            help: format!("concordat grant request {provider}/{collection} --purpose PURPOSE --until DATE"),
            table,
            reason: reason.into(),
        }
    }

    /// The same error for a grant that exists but cannot be used: the help is something other than a request.
    pub(super) fn with_help(self, remedy: String) -> Self {
        let Self::NoGrant { table, reason, .. } = self else {
            return self;
        };
        Self::NoGrant {
            table,
            reason,
            help: remedy,
        }
    }

    pub(super) fn machine(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Machine {
            what: what.into(),
            source: Box::new(source),
        }
    }

    /// The rows of `provider` cannot be decoded.
    pub(super) fn unreadable(provider: &InstitutionId) -> Self {
        Self::Misbehaved {
            provider: provider.clone(),
            detail: "its rows are not a valid stream".to_owned(),
        }
    }

    /// The reasons, if a peer has given any.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => {
                refusal.reasons.iter().map(|reason| reason.text.clone()).collect()
            }
            Self::PurposeNeeded { allowed, .. } => vec![format!(
                "allowed purposes: {}",
                allowed.iter().map(Purpose::to_string).collect::<Vec<_>>().join(", ")
            )],
            Self::Incomplete { missing } | Self::NoPart { missing, .. } => missing.clone(),
            Self::Usage { .. }
            | Self::Query { .. }
            | Self::ColumnsChanged { .. }
            | Self::NotPermitted(_)
            | Self::NoGrant { .. }
            | Self::Tier { .. }
            | Self::SchemaMismatch { .. }
            | Self::LevelsDiffer { .. }
            | Self::ValueChanges { .. }
            | Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::NotMember { .. }
            | Self::KeyChanged { .. }
            | Self::Misbehaved { .. }
            | Self::Machine { .. } => Vec::new(),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } => help.clone(),
            Self::NoGrant { help, .. } => Some(help.clone()),
            Self::Query { source, .. } => source.help(),
            Self::Incomplete { .. } => {
                Some("add `--allow-partial` for the answer without these parts, or query the others by name".to_owned())
            }
            Self::ColumnsChanged { .. } => Some("query again".to_owned()),
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
                Some("query with count, sum and avg grouped by columns, or request `records`".to_owned())
            }
            Self::Unreachable { provider, .. } => Some(format!(
                "ask `{provider}` whether its node runs, and whether its address is still the one that \
                 `concordat consortium roster show` lists"
            )),
            Self::Interrupted { provider, reason, .. } => Some(reason.help(provider)),
            Self::ValueChanges { dataset, .. } => Some(format!(
                "add `WHERE institution = '{}'` for its part alone, or query `{dataset}` with a `CAST` of the column to `TEXT`; codes \
                 are text, and are imported as such with `--type COLUMN=text`",
                dataset.institution
            )),
            Self::LevelsDiffer { collection, .. } => Some(format!(
                "query one member, or group by less; a steward declares the same levels as other members with `concordat collection \
                 classify {collection} --from FILE`"
            )),
            Self::SchemaMismatch {
                column, left, right, ..
            } => Some(format!(
                "query `{left}` and `{right}` one by one by their names, where each has a type of its own, or leave `{column}` out, as in `count(*)`; \
                 a steward imports numbers that are keys or codes as text with `--type {column}=text`"
            )),
            Self::NotPermitted(_)
            | Self::NoPart { .. }
            | Self::NotMember { .. }
            | Self::KeyChanged { .. }
            | Self::Misbehaved { .. }
            | Self::Machine { .. } => None,
        }
    }

    /// Whether a rule denied the query, rather than a mistake or a failure.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::NoGrant { .. } | Self::Tier { .. } | Self::NotPermitted(_) => true,
            Self::Query { source, .. } => source.kind() == ErrorKind::Denied,
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => refusal.code == RefusalCode::Denied,
            Self::Usage { .. }
            | Self::Incomplete { .. }
            | Self::NoPart { .. }
            | Self::ColumnsChanged { .. }
            | Self::PurposeNeeded { .. }
            | Self::SchemaMismatch { .. }
            | Self::LevelsDiffer { .. }
            | Self::ValueChanges { .. }
            | Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::NotMember { .. }
            | Self::KeyChanged { .. }
            | Self::Misbehaved { .. }
            | Self::Machine { .. } => false,
        }
    }
}

/// A reason, with the dataset that it is about.
fn about(dataset: Option<&DatasetRef>, reason: &QueryError) -> String {
    match dataset {
        Some(dataset) => format!("`{dataset}`: {reason}"),
        None => reason.to_string(),
    }
}

/// The levels of a column at two members, and those that all have.
fn of_levels(column: &str, members: [(&InstitutionId, &String); 2], common: &[String]) -> String {
    let [here, there] = members.map(|(member, levels)| format!("{levels} at {member}"));
    let labels: Vec<String> = common.iter().map(|label| format!("`{label}`")).collect();
    let together = if labels.is_empty() {
        "with nothing in common that could be combined".to_owned()
    } else {
        format!(
            "and all members have {}, which does not decide this query",
            labels.join(", ")
        )
    };
    format!("`{column}` is {here} and {there}, {together}")
}

/// What happened on the network, without addresses, keys and the words of libraries.
fn cause(error: &NetworkError) -> &'static str {
    if matches!(error, NetworkError::Unreachable { .. }) {
        "its node does not answer at any of its addresses"
    } else if matches!(error, NetworkError::OpenTimeout { .. } | NetworkError::Stalled { .. }) {
        "its node does not answer in time"
    } else if matches!(error, NetworkError::NotMember { .. }) {
        "its node is not on the roster"
    } else if matches!(error, NetworkError::Unsupported { .. } | NetworkError::Malformed(_)) {
        "its node does not speak this protocol, and may run another version"
    } else if matches!(error, NetworkError::Stopped) {
        "this node is stopping"
    } else {
        "the connection was lost"
    }
}

impl Explain for FederationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage { .. } | Self::PurposeNeeded { .. } | Self::SchemaMismatch { .. } => ErrorKind::Usage,
            Self::ValueChanges { .. } | Self::LevelsDiffer { .. } => ErrorKind::Usage,
            Self::NotPermitted(source) => source.kind(),
            Self::Query { source, .. } => source.kind(),
            Self::Incomplete { .. } | Self::NoPart { .. } => ErrorKind::Unreachable,
            Self::ColumnsChanged { .. } => ErrorKind::Internal,
            Self::NoGrant { .. } | Self::Tier { .. } => ErrorKind::Denied,
            Self::Refused { refusal, .. } | Self::Cut { refusal, .. } => refusal.code.kind(),
            Self::NotMember { .. } => ErrorKind::NotFound,
            Self::KeyChanged { .. } => ErrorKind::Denied,
            Self::Unreachable { .. } | Self::Interrupted { .. } => ErrorKind::Unreachable,
            Self::Misbehaved { .. } => ErrorKind::Integrity,
            Self::Machine { .. } => ErrorKind::Internal,
        }
    }

    fn reasons(&self) -> Vec<String> {
        Self::reasons(self)
    }

    fn help(&self) -> Option<String> {
        Self::help(self)
    }
}
