//! Everything that a node records: identifiers, digests and reasons; never data, never a query's text. Who or what caused it is
//! recorded in the entry that contains it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::values::{Direction, GrantChange, KeyChange, Outcome};
use crate::identity::InstitutionPublicKey;
use crate::ids::{
    ActorId, CollectionName, DatasetName, Digest32, GrantId, InstitutionId, NegotiationId, NodeId, Nonce, QueryId,
};
use crate::membership::{KeySuccession, NodeStart};
use crate::probe::Mismatch;
use crate::signed::Signed;
use crate::text::{Label, Reason};
use crate::time::Timestamp;

/// Most members of any list in an entry.
pub const MAX_LIST: usize = 16;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EntryBody {
    /// The node was initialized.
    NodeInitialized {
        /// Whose node it is.
        institution: InstitutionId,
        /// The node.
        node: NodeId,
        /// The key that signs the checkpoints of this ledger.
        key: InstitutionPublicKey,
    },
    /// The daemon started.
    NodeStarted {
        /// Version of the program.
        version: Label,
        /// Which start it was; left out in entries from before starts were counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<NodeStart>,
    },
    /// A key was made, replaced or destroyed.
    KeyChanged {
        /// Which kind of key.
        key: Label,
        /// What was done to it.
        change: KeyChange,
    },
    /// The institution's key was replaced: the new one signs the checkpoints of this ledger from here on.
    InstitutionKeyReplaced {
        /// The statement of the previous key.
        succession: Signed<KeySuccession>,
    },
    /// The key of a member, which the holders of the charter had put in place of another, was confirmed with the member.
    PeerKeyConfirmed {
        /// The member.
        institution: InstitutionId,
        /// The key.
        key: InstitutionPublicKey,
    },
    /// A configuration was accepted: from here on, the node starts only with these settings.
    ConfigurationAccepted {
        /// Digest of the settings that affect decisions.
        digest: Digest32,
    },
    /// A policy set was proposed; it is applied when another person approves it.
    PolicyProposed {
        /// Digest of the set: schema, rules and settings.
        digest: Digest32,
    },
    /// A policy set was applied.
    PolicyApplied {
        /// Its number, counting from 1.
        number: u64,
        /// Digest of the set: schema, rules and settings.
        digest: Digest32,
        /// Digest of the set that was active before; `None` for the first.
        previous: Option<Digest32>,
    },
    /// A roster was accepted.
    RosterAccepted {
        /// Its number.
        number: u64,
        /// Digest of its bytes.
        digest: Digest32,
    },
    /// This institution signed as a holder of the charter.
    CharterSigned {
        /// What kind of document: a roster, or a change of the charter.
        document: Label,
        /// Digest of what was signed.
        digest: Digest32,
    },
    /// A change that an earlier entry records was not made: it failed, or the node stopped before it.
    ChangeNotMade {
        /// The number of that entry.
        entry: u64,
    },
    /// Hosts of an applicant may be dialed although no range in the configuration contains them.
    HostsAllowed {
        /// Whose hosts they are.
        institution: InstitutionId,
        /// Their addresses, at most [`MAX_LIST`].
        hosts: Vec<Label>,
    },
    /// A roster that the charter key signed was refused, because it states about members what they have not stated themselves.
    RosterRefused {
        /// Its number.
        number: u64,
        /// Digest of its bytes.
        digest: Digest32,
        /// What is wrong with it.
        reason: Reason,
    },
    /// A version of a dataset was imported.
    DatasetImported {
        /// The dataset.
        dataset: DatasetName,
        /// The version.
        version: u64,
        /// Rows in it.
        rows: u64,
        /// Digest of its manifest.
        manifest: Digest32,
        /// Digest of what is declared about it from then on; left out in entries from before it was stated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        declared: Option<Digest32>,
    },
    /// A version of a collection of several datasets was imported.
    CollectionImported {
        /// The collection.
        collection: CollectionName,
        /// The version.
        version: u64,
        /// Datasets in it.
        datasets: u32,
        /// Rows in all of them.
        rows: u64,
        /// Digest of its manifest.
        manifest: Digest32,
        /// Digest of what is declared about it from then on; left out in entries from before it was stated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        declared: Option<Digest32>,
    },
    /// The columns of a dataset were classified, or what is declared about a collection was changed.
    DatasetClassified {
        /// The dataset.
        dataset: DatasetName,
        /// Digest of what is declared about it from then on, as versions state it.
        classification: Digest32,
    },
    /// A dataset was opened to requests.
    DatasetPublished {
        /// The dataset.
        dataset: DatasetName,
    },
    /// A dataset was closed to requests.
    DatasetWithdrawn {
        /// The dataset.
        dataset: DatasetName,
    },
    /// A steward set the limits of a dataset's answers, or how much of its sensitive columns may be revealed.
    DatasetLimited {
        /// The dataset.
        dataset: DatasetName,
        /// Digest of what is set now.
        rules: Digest32,
    },
    /// A steward set how many versions of a dataset are retained, now and after each import.
    DatasetRetentionSet {
        /// The dataset.
        dataset: DatasetName,
        /// How many; `None` for all.
        versions: Option<NonZeroU32>,
    },
    /// Versions of a dataset that are older than this one were removed.
    DatasetTrimmed {
        /// The dataset.
        dataset: DatasetName,
        /// The oldest version that is left.
        oldest: u64,
    },
    /// A dataset was erased.
    DatasetErased {
        /// The dataset.
        dataset: DatasetName,
        /// Digest of the signed statement.
        statement: Digest32,
    },
    /// The queries of a person below `records` to a collection were locked.
    ReleaseLocked {
        /// The collection.
        collection: CollectionName,
        /// The person's institution.
        institution: InstitutionId,
        /// The person.
        actor: ActorId,
        /// Why.
        reason: Reason,
    },
    /// A steward proposed to unlock queries; they are unlocked when another steward approves it.
    ReleaseUnlockProposed {
        /// The collection.
        collection: CollectionName,
        /// The institution whose people are locked.
        institution: InstitutionId,
        /// The person; `None` for all people of the institution who are locked.
        actor: Option<ActorId>,
    },
    /// Two stewards unlocked queries.
    ReleaseUnlocked {
        /// The collection.
        collection: CollectionName,
        /// The institution whose people were locked.
        institution: InstitutionId,
        /// The person; `None` for all people of the institution who were locked.
        actor: Option<ActorId>,
    },
    /// A steward acknowledged that answers below `records` which are missing since a restore do not count.
    AnswersAcknowledged {
        /// The collection that they are about.
        collection: CollectionName,
        /// Until when answers are known.
        known_until: Timestamp,
    },
    /// Loss of privacy was reserved for a query with private figures, before anything was computed. It counts whatever became of the query.
    BudgetReserved {
        /// The query.
        query: QueryId,
        /// The collection that it is about.
        collection: CollectionName,
        /// What was reserved, in millionths of `rho`.
        micro_rho: u64,
        /// What is left for the institution and the collection, in millionths of `rho`.
        left: u64,
    },
    /// A snapshot of the data directory was made.
    SnapshotMade {
        /// The snapshot.
        snapshot: Nonce,
        /// Digest of its signed contents.
        contents: Digest32,
    },
    /// The data directory was restored from a snapshot.
    SnapshotRestored {
        /// The snapshot.
        snapshot: Nonce,
        /// Digest of its signed contents.
        contents: Digest32,
    },
    /// A message of a negotiation was sent or received.
    NegotiationStep {
        /// The negotiation.
        negotiation: NegotiationId,
        /// The other side.
        peer: InstitutionId,
        /// Who sent the message.
        direction: Direction,
        /// The state that it leads to.
        state: Label,
        /// Digest of the message.
        message: Digest32,
    },
    /// A grant changed its state.
    GrantChanged {
        /// The grant.
        grant: GrantId,
        /// The other side.
        peer: InstitutionId,
        /// What happened to it.
        change: GrantChange,
        /// Why.
        reason: Option<Reason>,
    },
    /// A request was permitted or denied; made durable before anything is done about it.
    DecisionMade {
        /// The request.
        request: QueryId,
        /// The grant it was made under.
        grant: Option<GrantId>,
        /// Whether it was permitted.
        permitted: bool,
        /// Why, at most [`MAX_LIST`].
        reasons: Vec<Reason>,
        /// Digest of the policies that decided.
        policy: Digest32,
        /// Digest of the text of the query.
        sql: Option<Digest32>,
    },
    /// An answer left this node, wholly or in part.
    AnswerReleased {
        /// The query.
        query: QueryId,
        /// The grant it was made under; `None` for the people of this institution.
        grant: Option<GrantId>,
        /// Rows released.
        rows: u64,
        /// Bytes released.
        bytes: u64,
        /// Hash over what was released.
        answer: Digest32,
        /// How it ended.
        outcome: Outcome,
        /// Digest of the receipt.
        receipt: Option<Digest32>,
    },
    /// A receipt came back with the other side's signature, or was signed as the other side.
    ReceiptCountersigned {
        /// The query.
        query: QueryId,
        /// Digest of the receipt.
        digest: Digest32,
        /// Whether the signer had counted the bytes that it states; a receipt that is signed later, for an answer that was not read
        /// to its end, relies on the count that the provider states.
        counted: bool,
    },
    /// A steward decided that the answer to an institution may remain without its signature, so that the institution is answered again.
    ReceiptWrittenOff {
        /// The query.
        query: QueryId,
        /// The institution that has not signed.
        consumer: InstitutionId,
        /// Why it cannot.
        reason: Reason,
    },
    /// A query to another institution; made durable before the query is signed.
    QueryOpened {
        /// The query.
        query: QueryId,
        /// The institution that is to answer.
        provider: InstitutionId,
        /// The grant it is made under.
        grant: GrantId,
        /// Digest of the text of the query.
        sql: Digest32,
    },
    /// The end of a query to another institution, for whatever reason.
    QueryClosed {
        /// The query.
        query: QueryId,
        /// Rows received.
        rows: u64,
        /// Bytes received.
        bytes: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// The node stopped while it answered a query; how much had been sent by then is not known.
    AnswerLost {
        /// The query.
        query: QueryId,
    },
    /// Records of queries are removed because their retention has ended; made durable before the first is removed. After a stop in
    /// between, what is left of them is entered again.
    EvidenceRemoved {
        /// How many.
        records: u64,
        /// All of them began before this time.
        before: Timestamp,
    },
    /// Queries of a peer, or of one of the institution's people, were refused without a decision that is recorded: before a policy was
    /// evaluated, or, of its own people, while they were planned.
    QueriesRefused {
        /// How many: one, or all of one minute together.
        count: u32,
        /// Why the last of them was refused.
        reason: Reason,
    },
    /// A person was given access to this node.
    UserAdded {
        /// The person.
        actor: ActorId,
        /// What they may do, at most [`MAX_LIST`].
        roles: Vec<Label>,
    },
    /// A person's account was changed.
    UserChanged {
        /// The person.
        actor: ActorId,
        /// What was changed: roles, access, password or training.
        change: Label,
        /// What they may do from now on, at most [`MAX_LIST`]; empty where that did not change.
        roles: Vec<Label>,
    },
    /// A person's access was ended.
    UserDisabled {
        /// The person.
        actor: ActorId,
    },
    /// A person logged in.
    LoginSucceeded {
        /// Whether with a password that another person had set.
        one_time: bool,
    },
    /// A login failed.
    LoginFailed {
        /// The person, if the name is known here: an unknown name may be a mistyped password and is not recorded.
        actor: Option<ActorId>,
    },
    /// The hellos of a node were refused.
    PeerRefused {
        /// The node; of several that are counted together, the last.
        node: NodeId,
        /// How many: one, or all of one minute together.
        count: u32,
        /// Why the last of them was refused.
        reason: Reason,
    },
    /// A peer's ledger does not extend the head that it had signed before: it was replaced or has two histories. The node is
    /// refused until an administrator acknowledges it.
    PeerLedgerConflict {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Digest of the signed head that was known.
        known: Digest32,
        /// Digest of the signed head that contradicts it.
        shown: Digest32,
        /// What contradicts.
        reason: Reason,
    },
    /// A person acknowledged that a peer's ledger does not extend the head known before; the head shown last is the new base.
    PeerLedgerAcknowledged {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Digest of the signed head that contradicted the known one.
        shown: Digest32,
    },
    /// A hello of a node was refused because its start is not the newest that is known of the node: it is an older copy, or runs beside
    /// another copy.
    PeerStartRefused {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Digest of the signed statement of the newest start.
        known: Digest32,
        /// Digest of the signed statement that was refused.
        shown: Digest32,
        /// How the two starts relate.
        reason: Reason,
    },
    /// A peer announced other rules below tier `records` than before, or its first ones.
    RulesAnnounced {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Digest of the signed statement.
        statement: Digest32,
        /// Whether one of the rules protects less than before.
        weaker: bool,
    },
    /// The answers of a peer to a probe are not as it announces, or in another way than before.
    RulesMismatch {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Digest of the signed statement that they were compared with.
        statement: Digest32,
        /// What is not as announced.
        found: BTreeSet<Mismatch>,
    },
    /// A peer showed a statement that another start of this node has signed: a copy of this node runs, or this node is one.
    OwnStartShown {
        /// Digest of the signed statement.
        signed: Digest32,
        /// Whether this node stops serving, because the other start is later or the peer serves that one; otherwise the peer refused the
        /// other one.
        stops: bool,
    },
    /// A peer showed a head that this node had signed and its ledger does not extend: the data directory is an older copy.
    OwnLedgerConflict {
        /// Entries under the signed head.
        size: u64,
        /// Digest of the signed head.
        signed: Digest32,
    },
    /// A person acknowledged that this node continues from an older copy of its ledger, or beside a copy that must not run again.
    OwnLedgerAcknowledged {
        /// Digest of the signed head that the ledger does not extend, or of the signed statement of another start.
        signed: Digest32,
        /// How often that has been done so far.
        generation: u32,
    },
}

impl EntryBody {
    /// Number of members of its longest list.
    pub(super) fn longest_list(&self) -> usize {
        if let Self::DecisionMade { reasons, .. } = self {
            reasons.len()
        } else if let Self::HostsAllowed { hosts, .. } = self {
            hosts.len()
        } else if let Self::UserAdded { roles, .. } | Self::UserChanged { roles, .. } = self {
            roles.len()
        } else if let Self::RulesMismatch { found, .. } = self {
            found.len()
        } else {
            0
        }
    }
}
