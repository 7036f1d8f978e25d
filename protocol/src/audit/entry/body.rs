//! Everything that a node records. Identifiers, digests and reasons; never data, never a query's text. On whose
//! account it happened is told by the entry around it.

use serde::{Deserialize, Serialize};

use crate::identity::InstitutionPublicKey;
use crate::ids::{ActorId, DatasetName, Digest32, GrantId, InstitutionId, NegotiationId, NodeId, Nonce, QueryId};
use crate::membership::KeySuccession;
use crate::signed::Signed;
use crate::text::{Reason, Word};

/// Most members of any list in an entry.
pub const MAX_LIST: usize = 16;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EntryBody {
    /// The node was set up.
    NodeInitialised {
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
        version: Word,
    },
    /// A key was made, replaced or destroyed.
    KeyChanged {
        /// Which kind of key.
        key: Word,
        /// What was done to it.
        change: KeyChange,
    },
    /// The institution's key gave way to another: it signs the checkpoints of this ledger from here on.
    InstitutionKeyReplaced {
        /// The word of the key before.
        succession: Signed<KeySuccession>,
    },
    /// The key of a member, by which the holders of the charter had replaced another, was compared with the member.
    PeerKeyConfirmed {
        /// The member.
        institution: InstitutionId,
        /// The key.
        key: InstitutionPublicKey,
    },
    /// A configuration was accepted: only one with these settings starts the node from here on.
    ConfigurationAccepted {
        /// Names the settings that decide something.
        digest: Digest32,
    },
    /// A policy set was proposed; it comes into force when another person approves it.
    PolicyProposed {
        /// Names the set: schema, rules and settings.
        digest: Digest32,
    },
    /// A policy set came into force.
    PolicyApplied {
        /// Its number, counting from 1.
        number: u64,
        /// Names the set: schema, rules and settings.
        digest: Digest32,
        /// Names the set that was in force before; none for the first.
        previous: Option<Digest32>,
    },
    /// A roster came into force.
    RosterAccepted {
        /// Its number.
        number: u64,
        /// Names its bytes.
        digest: Digest32,
    },
    /// This institution signed as a holder of the charter.
    CharterSigned {
        /// What kind of document: a roster, or a change of the charter.
        document: Word,
        /// Names what was signed.
        digest: Digest32,
    },
    /// A change that an earlier entry tells of was not made: it failed, or a stop came in between.
    ChangeNotMade {
        /// The number of that entry.
        entry: u64,
    },
    /// Hosts of an applicant were allowed to be dialed although the configuration names no range with them.
    HostsAllowed {
        /// Whose hosts they are.
        institution: InstitutionId,
        /// Their addresses, at most [`MAX_LIST`].
        hosts: Vec<Word>,
    },
    /// A roster that the charter key signed was refused, because it says of members what they have not said themselves.
    RosterRefused {
        /// Its number.
        number: u64,
        /// Names its bytes.
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
        /// Names its manifest.
        manifest: Digest32,
    },
    /// The columns of a dataset were classified.
    DatasetClassified {
        /// The dataset.
        dataset: DatasetName,
        /// Names the classification.
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
    /// A steward set the limits of a dataset's answers, or how far its sensitive columns go.
    DatasetLimited {
        /// The dataset.
        dataset: DatasetName,
        /// Names what is set now.
        rules: Digest32,
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
        /// Names the signed statement.
        statement: Digest32,
    },
    /// A snapshot of the data directory was made.
    SnapshotMade {
        /// The snapshot.
        snapshot: Nonce,
        /// Names its signed contents.
        contents: Digest32,
    },
    /// The data directory was restored from a snapshot.
    SnapshotRestored {
        /// The snapshot.
        snapshot: Nonce,
        /// Names its signed contents.
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
        state: Word,
        /// Names the message.
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
        /// Names the policies that decided.
        policy: Digest32,
        /// Names the text of the query.
        sql: Option<Digest32>,
    },
    /// An answer left this node, wholly or in part.
    AnswerReleased {
        /// The query.
        query: QueryId,
        /// The grant it was made under; none for this node's own people.
        grant: Option<GrantId>,
        /// Rows released.
        rows: u64,
        /// Bytes released.
        bytes: u64,
        /// Hash over what was released.
        answer: Digest32,
        /// How it ended.
        outcome: Outcome,
        /// Names the receipt.
        receipt: Option<Digest32>,
    },
    /// A receipt came back with the other side's signature, or was signed as the other side.
    ReceiptCountersigned {
        /// The query.
        query: QueryId,
        /// Names the receipt.
        digest: Digest32,
        /// Whether the signer had counted the bytes that it states; a receipt that is signed later, after the answer was not read
        /// to its end, is signed on the provider's word.
        counted: bool,
    },
    /// A query to another institution; made durable before the query is signed.
    QueryOpened {
        /// The query.
        query: QueryId,
        /// The institution that is to answer.
        provider: InstitutionId,
        /// The grant it is made under.
        grant: GrantId,
        /// Names the text of the query.
        sql: Digest32,
    },
    /// The end of a query to another institution, however it came.
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
    /// The node stopped while it answered a query; how much had left by then is not known.
    AnswerLost {
        /// The query.
        query: QueryId,
    },
    /// Queries of a peer were refused before any policy was asked.
    QueriesRefused {
        /// How many: one, or those of a minute together.
        count: u32,
        /// Why the last of them was.
        reason: Reason,
    },
    /// A person was given access to this node.
    UserAdded {
        /// The person.
        actor: ActorId,
        /// What they may do, at most [`MAX_LIST`].
        roles: Vec<Word>,
    },
    /// A person's account was changed.
    UserChanged {
        /// The person.
        actor: ActorId,
        /// What was changed: roles, access, password or training.
        change: Word,
        /// What they may do from now on, at most [`MAX_LIST`]; empty where that did not change.
        roles: Vec<Word>,
    },
    /// A person's access was ended.
    UserDisabled {
        /// The person.
        actor: ActorId,
    },
    /// A person logged in.
    LoginSucceeded {
        /// Whether with a password that somebody else had set.
        one_time: bool,
    },
    /// A login failed.
    LoginFailed {
        /// The person, if the name is known here: an unknown name may be a mistyped password and is not recorded.
        actor: Option<ActorId>,
    },
    /// The introductions of a node were refused.
    PeerRefused {
        /// The node; of several that are counted together, the last.
        node: NodeId,
        /// How many: one, or those of a minute together.
        count: u32,
        /// Why the last of them was.
        reason: Reason,
    },
    /// A peer's ledger does not extend the head that it had signed before: it was replaced or has two histories. The node is
    /// refused until somebody acknowledges it.
    PeerLedgerConflict {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Names the signed head that was kept.
        kept: Digest32,
        /// Names the signed head that contradicts it.
        shown: Digest32,
        /// How.
        reason: Reason,
    },
    /// Somebody acknowledged that a peer's ledger does not extend the head known before; the head shown last is the base.
    PeerLedgerAcknowledged {
        /// The node.
        node: NodeId,
        /// Its institution.
        institution: InstitutionId,
        /// Names the signed head that contradicted the one kept.
        shown: Digest32,
    },
    /// A peer showed a head that this node had signed and its ledger does not extend: the data directory is an older copy.
    OwnLedgerConflict {
        /// Entries under the signed head.
        size: u64,
        /// Names the signed head.
        signed: Digest32,
    },
    /// Somebody acknowledged that this node goes on from an older copy of its ledger.
    OwnLedgerAcknowledged {
        /// Names the signed head that the ledger does not extend.
        signed: Digest32,
        /// How often that has been done now.
        generation: u32,
    },
}

impl EntryBody {
    /// Members of the longest list in it.
    pub(super) fn longest_list(&self) -> usize {
        if let Self::DecisionMade { reasons, .. } = self {
            reasons.len()
        } else if let Self::HostsAllowed { hosts, .. } = self {
            hosts.len()
        } else if let Self::UserAdded { roles, .. } | Self::UserChanged { roles, .. } = self {
            roles.len()
        } else {
            0
        }
    }
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This node.
    Sent,
    /// The peer.
    Received,
}

/// What happened to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantChange {
    /// It came into force.
    Activated,
    /// It was put on hold.
    Suspended,
    /// It was taken off hold.
    Resumed,
    /// Both sides signed new terms.
    Amended,
    /// The provider ended it.
    Revoked,
    /// The consumer gave it up.
    Relinquished,
    /// Its time ran out.
    Expired,
}

/// What was done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyChange {
    /// It was made.
    Created,
    /// Another took its place.
    Rotated,
    /// It was copied for safe keeping.
    BackedUp,
    /// It was destroyed, and with it what it sealed.
    Destroyed,
}

/// How the release of an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// All of it was released.
    Completed,
    /// It was stopped on the way.
    Cut {
        /// Why.
        reason: Reason,
    },
    /// Something failed.
    Failed {
        /// What.
        reason: Reason,
    },
    /// The provider refused to answer.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// Whoever read it stopped before its end.
    Abandoned,
}
