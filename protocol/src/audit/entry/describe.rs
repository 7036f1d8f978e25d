//! Entries as short sentences, for `audit tail` and the console.

use super::{Direction, EntryBody, GrantChange, KeyChange, Outcome};
use crate::ids::{ActorId, Digest32, InstitutionId};

impl EntryBody {
    /// What happened, as one sentence.
    pub fn describe(&self) -> String {
        match self {
            Self::NodeInitialized { institution, node, .. } => {
                format!("node {} of {institution} was initialized", node.short())
            }
            Self::NodeStarted {
                version,
                start: Some(start),
            } => format!("the node started, version {version}, start {}", start.number),
            Self::NodeStarted { version, start: None } => format!("the node started, version {version}"),
            Self::KeyChanged { key, change } => format!("{key} was {}", change.as_str()),
            Self::InstitutionKeyReplaced { succession } => match succession.peek_unverified() {
                Ok(named) => format!(
                    "the institution's key {} replaced {}",
                    named.to.fingerprint(),
                    named.from.fingerprint()
                ),
                Err(_) => "the institution's key was replaced".to_owned(),
            },
            Self::PeerKeyConfirmed { institution, key } => {
                format!("the key {} of {institution} was confirmed", key.fingerprint())
            }
            Self::ConfigurationAccepted { digest } => format!("configuration {} was accepted", digest.short()),
            Self::PolicyProposed { digest } => format!("policy set {} was proposed", digest.short()),
            Self::PolicyApplied { number, digest, .. } => {
                format!("policy set {number} ({}) was applied", digest.short())
            }
            Self::RosterAccepted { number, digest } => format!("roster {number} ({}) was accepted", digest.short()),
            Self::CharterSigned { document, digest } => {
                format!("a {document} ({}) was signed for the charter", digest.short())
            }
            Self::ChangeNotMade { entry } => format!("the change recorded in entry {entry} was not made"),
            Self::HostsAllowed { institution, hosts } => {
                let hosts: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
                format!("{} of {institution} may be dialed", hosts.join(", "))
            }
            Self::RosterRefused { number, digest, reason } => {
                format!("roster {number} ({}) was refused: {reason}", digest.short())
            }
            Self::DatasetImported {
                dataset,
                version,
                rows,
                declared,
                ..
            } => format!(
                "version {version} of {dataset} was imported, {rows} rows{}",
                declared_as(declared.as_ref())
            ),
            Self::CollectionImported {
                collection,
                version,
                datasets,
                rows,
                declared,
                ..
            } => format!(
                "version {version} of {collection} was imported, {rows} rows in {datasets} datasets{}",
                declared_as(declared.as_ref())
            ),
            Self::DatasetClassified {
                dataset,
                classification,
            } => format!("{dataset} was classified{}", declared_as(Some(classification))),
            Self::DatasetPublished { dataset } => format!("{dataset} was published"),
            Self::DatasetWithdrawn { dataset } => format!("{dataset} was withdrawn"),
            Self::DatasetLimited { dataset, .. } => format!("the limits of {dataset} were set"),
            Self::DatasetRetentionSet {
                dataset,
                versions: Some(versions),
            } => format!("at most {versions} versions of {dataset} are retained"),
            Self::DatasetRetentionSet {
                dataset,
                versions: None,
            } => format!("all versions of {dataset} are retained"),
            Self::DatasetTrimmed { dataset, oldest } => format!("versions of {dataset} before {oldest} were removed"),
            Self::DatasetErased { dataset, statement } => {
                format!("{dataset} was erased, statement {}", statement.short())
            }
            Self::ReleaseLocked {
                collection,
                actor,
                reason,
                ..
            } => format!("queries of {actor} below records to {collection} were locked: {reason}"),
            Self::ReleaseUnlockProposed {
                collection,
                institution,
                actor,
            } => format!(
                "it was proposed to unlock queries of {} below records to {collection}",
                people(institution, actor.as_ref())
            ),
            Self::ReleaseUnlocked {
                collection,
                institution,
                actor,
            } => format!(
                "queries of {} below records to {collection} were unlocked",
                people(institution, actor.as_ref())
            ),
            Self::AnswersAcknowledged {
                collection,
                known_until,
            } => format!(
                "it was acknowledged that answers about {collection} are known until {} only",
                known_until.exact()
            ),
            Self::BudgetReserved {
                query,
                collection,
                micro_rho,
                left,
            } => format!(
                "{micro_rho} millionths of rho were reserved for query {query} of {collection}, and {left} are left"
            ),
            Self::SnapshotMade { snapshot, .. } => format!("snapshot {} was made", snapshot.short()),
            Self::SnapshotRestored { snapshot, .. } => {
                format!("the node was restored from snapshot {}", snapshot.short())
            }
            Self::NegotiationStep {
                negotiation,
                peer,
                direction,
                state,
                ..
            } => {
                let direction = match direction {
                    Direction::Sent => "to",
                    Direction::Received => "from",
                };
                format!("negotiation {}: {state} {direction} {peer}", negotiation.short())
            }
            Self::GrantChanged {
                grant,
                peer,
                change,
                reason,
            } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("grant {} with {peer} was {}{why}", grant.short(), change.as_str())
            }
            Self::DecisionMade { .. } => self.describe_decision(),
            Self::AnswerReleased {
                query,
                rows,
                bytes,
                outcome,
                ..
            } => {
                format!(
                    "query {}: {rows} rows ({bytes} bytes) released, {}",
                    query.short(),
                    outcome.describe()
                )
            }
            Self::ReceiptCountersigned { query, counted, .. } => {
                let later = if *counted {
                    ""
                } else {
                    ", later and with the byte count stated by the provider"
                };
                format!("query {}: receipt signed by both sides{later}", query.short())
            }
            Self::ReceiptWrittenOff {
                query,
                consumer,
                reason,
            } => format!(
                "query {}: the receipt without the signature of {consumer} was written off: {reason}",
                query.short()
            ),
            Self::QueryOpened { query, provider, .. } => format!("query {} to {provider} was started", query.short()),
            Self::QueryClosed {
                query,
                rows,
                bytes,
                outcome,
            } => {
                let how = outcome.describe();
                format!("query {}: {rows} rows ({bytes} bytes) received, {how}", query.short())
            }
            Self::AnswerLost { query } => format!("query {}: the node stopped while it answered", query.short()),
            Self::EvidenceRemoved { records, before } => {
                format!("the records of {records} queries from before {before} were removed")
            }
            Self::QueriesRefused { count: 1, reason } => format!("a query was refused: {reason}"),
            Self::QueriesRefused { count, reason } => format!("{count} queries were refused, the last: {reason}"),
            Self::UserAdded { actor, roles } => {
                let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                format!("{actor} was added as {}", roles.join(", "))
            }
            Self::UserChanged { actor, change, .. } => format!("{change} of {actor} changed"),
            Self::UserDisabled { actor } => format!("{actor} was disabled"),
            Self::LoginSucceeded { one_time: false } => "logged in".to_owned(),
            Self::LoginSucceeded { one_time: true } => {
                "logged in to change a password set by another person".to_owned()
            }
            Self::LoginFailed { actor: Some(actor) } => format!("a login as {actor} failed"),
            Self::LoginFailed { actor: None } => "a login with an unknown name failed".to_owned(),
            Self::PeerRefused { node, count: 1, reason } => format!("node {} was refused: {reason}", node.short()),
            Self::PeerRefused { node, count, reason } => {
                format!(
                    "node {} was refused {count} times, the last time: {reason}",
                    node.short()
                )
            }
            Self::PeerLedgerConflict {
                node,
                institution,
                reason,
                ..
            } => format!(
                "ALARM: node {} of {institution} contradicts its own ledger: {reason}",
                node.short()
            ),
            Self::PeerLedgerAcknowledged { node, institution, .. } => {
                format!(
                    "the other ledger of node {} of {institution} was acknowledged",
                    node.short()
                )
            }
            Self::OwnLedgerConflict { size, .. } => {
                format!("ALARM: this node had signed a ledger of {size} entries that this one does not extend")
            }
            Self::PeerStartRefused {
                node,
                institution,
                reason,
                ..
            } => format!("ALARM: node {} of {institution} was refused: {reason}", node.short()),
            Self::RulesAnnounced {
                node,
                institution,
                statement,
                weaker,
            } => {
                let weaker = if *weaker { ", weaker than before" } else { "" };
                format!(
                    "node {} of {institution} announced rules {}{weaker}",
                    node.short(),
                    statement.short()
                )
            }
            Self::RulesMismatch {
                node,
                institution,
                statement,
                found,
            } => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                format!(
                    "node {} of {institution} does not answer a probe as in its rules {}: {}",
                    node.short(),
                    statement.short(),
                    found.join("; ")
                )
            }
            Self::OwnStartShown { stops: true, .. } => {
                "ALARM: this node is a copy, or an older copy, of a node that peers know".to_owned()
            }
            Self::OwnStartShown { stops: false, .. } => "ALARM: a peer has refused a copy of this node".to_owned(),
            Self::OwnLedgerAcknowledged { generation, .. } => {
                format!("this copy of the node was acknowledged, generation {generation}")
            }
        }
    }

    fn describe_decision(&self) -> String {
        let Self::DecisionMade {
            request,
            permitted,
            reasons,
            ..
        } = self
        else {
            return String::new();
        };
        let verdict = if *permitted { "permitted" } else { "denied" };
        let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        let why = if reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", reasons.join("; "))
        };
        format!("query {} was {verdict}{why}", request.short())
    }
}

/// The one person, or all of the institution.
fn people(institution: &InstitutionId, actor: Option<&ActorId>) -> String {
    actor.map_or_else(|| format!("all people of {institution}"), ToString::to_string)
}

/// By its digest, what is declared from then on.
fn declared_as(declared: Option<&Digest32>) -> String {
    declared.map_or_else(String::new, |declared| format!(", declared as {}", declared.short()))
}

impl GrantChange {
    /// The change as a participle.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::Amended => "amended",
            Self::Revoked => "revoked",
            Self::Relinquished => "relinquished",
            Self::Expired => "expired",
        }
    }
}

impl KeyChange {
    /// The change as a participle.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Rotated => "rotated",
            Self::BackedUp => "backed up",
            Self::Recovered => "replaced by means of a backup",
            Self::Destroyed => "destroyed",
        }
    }
}

impl Outcome {
    fn describe(&self) -> String {
        match self {
            Self::Completed => "complete".to_owned(),
            Self::Cut { reason } => format!("cut: {reason}"),
            Self::Failed { reason } => format!("failed: {reason}"),
            Self::Refused { reason } => format!("refused: {reason}"),
            Self::Abandoned => "not read to its end".to_owned(),
        }
    }
}
