//! One grant: its stored record and the lock around it.

use std::sync::Arc;

use concordat_policy::{HeldScope, HeldUnder};
use concordat_protocol::grant::{
    Effective, GrantEvent, GrantHeads, GrantState, GrantStatus, GrantTerms, NewerNotices, Notice, NoticeHead, Party,
    ValidGrant, ValidNotice,
};
use concordat_protocol::identity::{InstitutionPublicKey, Side};
use concordat_protocol::ids::{CreationId, Digest32, GrantId, InstitutionId, NodeId};
use concordat_protocol::signed::{CoSigned, SignatureError, Signed, Verified};
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, watch};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::negotiation::NegotiationError;
use crate::negotiation::bound_collection::BoundCollection;
use crate::negotiation::precedence::{Held, Precedence};
use crate::restorations::RestorationCount;

/// Resumptions of one grant within [`RESUMPTION_WINDOW_MS`] that are accepted: more than people decide. Each costs an entry in this
/// ledger, and so does the suspension after it.
const MAX_RESUMPTIONS: usize = 8;
/// An hour, in milliseconds.
const RESUMPTION_WINDOW_MS: i64 = 3_600_000;

/// What a grant depends on besides its terms, when it is activated.
#[derive(Clone, Copy, Debug)]
pub(in crate::negotiation) struct GrantBasis {
    /// The roster that admitted the other side.
    pub(in crate::negotiation) peer_since: u64,
    /// The restorations of this node.
    pub(super) restorations: RestorationCount,
    /// The creation of the dataset; `None` at the consumer.
    pub(super) dataset: Option<CreationId>,
}

/// The stored record of a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::negotiation) struct Record {
    /// The terms as both sides signed them.
    pub(super) terms: CoSigned<GrantTerms>,
    /// The institutions' keys at that time, provider first: a grant outlives a change of keys.
    keys: [InstitutionPublicKey; 2],
    /// Number of the roster that admitted the other institution, as of the activation or last resumption of the grant. If the
    /// institution was removed and admitted again, that number is different, and the grant is not resumed by the new admission.
    pub(in crate::negotiation) peer_since: u64,
    /// Its state.
    pub(in crate::negotiation) state: GrantState,
    /// Number of the last notice sent.
    pub(in crate::negotiation) sent: u32,
    /// Number of the last notice applied.
    pub(in crate::negotiation) received: u32,
    /// Digest of the last notice applied.
    last_applied: Option<Digest32>,
    /// That notice: the other side may be restored from a backup that lacks it.
    #[serde(default)]
    pub(super) applied: Option<Signed<Notice>>,
    /// The last notice sent.
    #[serde(default)]
    pub(super) own: Option<Signed<Notice>>,
    /// The restorations of this node when the grant was activated or last resumed. While they are others, the grant permits nothing.
    #[serde(default)]
    pub(in crate::negotiation) restorations: RestorationCount,
    /// The restorations of this node when the notices were last compared with those of the other side.
    #[serde(default)]
    pub(in crate::negotiation) compared: RestorationCount,
    /// The creation of the dataset that was agreed about; `None` at the consumer.
    #[serde(default)]
    dataset: Option<CreationId>,
    /// When the other side resumed it within the last hour, at most [`MAX_RESUMPTIONS`].
    resumptions: Vec<Timestamp>,
    /// Notices sent and not acknowledged.
    pub(super) pending: Vec<Signed<Notice>>,
}

impl Record {
    pub(in crate::negotiation) fn new(grant: &ValidGrant, basis: GrantBasis, now: Timestamp) -> Self {
        Self {
            terms: grant.signed().clone(),
            keys: [grant.terms().provider_key, grant.terms().consumer_key],
            peer_since: basis.peer_since,
            state: GrantState::active(now),
            sent: 0,
            received: 0,
            last_applied: None,
            applied: None,
            own: None,
            restorations: basis.restorations,
            compared: basis.restorations,
            dataset: basis.dataset,
            resumptions: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// After a change by this side.
    pub(in crate::negotiation) fn after_own_change(&self, state: GrantState, notice: Signed<Notice>) -> Self {
        let mut next = self.clone();
        next.state = state;
        next.sent = self.sent.saturating_add(1);
        next.own = Some(notice.clone());
        next.pending.push(notice);
        next
    }

    /// After a notice of this side that it did not know any more, with number `sequence`: what waits was made without it, and is superseded
    /// at the other side.
    pub(in crate::negotiation) fn after_forgotten_notice(
        &self,
        state: GrantState,
        sequence: u32,
        notice: Signed<Notice>,
    ) -> Self {
        Self {
            state,
            sent: self.sent.max(sequence),
            own: Some(notice),
            pending: Vec::new(),
            ..self.clone()
        }
    }

    /// After a comparison with the other side, when this node had gone on from an older copy so often.
    pub(in crate::negotiation) fn after_comparison(&self, restorations: RestorationCount) -> Self {
        Self {
            compared: restorations,
            ..self.clone()
        }
    }

    /// The newest notices of both sides that this side knows.
    pub(in crate::negotiation) fn heads(&self, grant: GrantId) -> Result<GrantHeads, SignatureError> {
        Ok(GrantHeads {
            grant,
            own: self.own.as_ref().map(NoticeHead::of).transpose()?,
            applied: self.applied.as_ref().map(NoticeHead::of).transpose()?,
        })
    }

    /// What a side that knows `heads` lacks.
    pub(in crate::negotiation) fn newer_than(&self, heads: &GrantHeads) -> Result<NewerNotices, SignatureError> {
        let mut newer = NewerNotices::default();
        if let Some(applied) = &self.applied
            && heads.lacks_own(applied)?
        {
            newer.yours = Some(applied.clone());
        }
        if let Some(own) = &self.own
            && heads.lacks_applied(own)?
        {
            newer.ours = Some(own.clone());
        }
        Ok(newer)
    }

    /// Whether `notice` is the newest of this side.
    pub(in crate::negotiation) fn is_own(&self, notice: &Signed<Notice>) -> bool {
        self.own.as_ref() == Some(notice)
    }

    /// After a notice of the other side, which leads to `state`.
    ///
    /// # Errors
    /// [`NegotiationError::TooManyResumptions`]. What narrows access is never refused, and without a resumption in between it changes the
    /// state once.
    pub(in crate::negotiation) fn after_peer_notice(
        &self,
        state: GrantState,
        notice: &ValidNotice,
        now: Timestamp,
    ) -> Result<Self, NegotiationError> {
        let mut resumptions = self.resumptions.clone();
        resumptions.retain(|then| now.since(*then) < RESUMPTION_WINDOW_MS);
        let resumes = notice.notice().event == GrantEvent::Resume && state != self.state;
        if resumes && resumptions.len() >= MAX_RESUMPTIONS {
            return Err(NegotiationError::TooManyResumptions { max: MAX_RESUMPTIONS });
        }
        if resumes {
            resumptions.push(now);
        }
        Ok(Self {
            state,
            received: notice.notice().sequence,
            last_applied: Some(notice.digest()),
            applied: Some(notice.signed().clone()),
            resumptions,
            ..self.clone()
        })
    }

    /// Whether exactly this notice was applied last: its acknowledgment was lost, so it is acknowledged again.
    pub(in crate::negotiation) fn is_repeated(&self, notice: &ValidNotice) -> bool {
        self.last_applied == Some(notice.digest())
    }
}

/// The comparison of the notices with those of the other side.
#[derive(Clone, Debug, Default)]
pub(in crate::negotiation) struct Comparison {
    /// The session in which they were compared last.
    pub(in crate::negotiation) session: Option<u64>,
    /// What differs and could not be resolved.
    pub(in crate::negotiation) difference: Option<Reason>,
}

/// A grant in use: its terms and its record.
#[derive(Debug)]
pub(in crate::negotiation) struct Live {
    grant: ValidGrant,
    party: Party,
    dataset: BoundCollection,
    record: Arc<RwLock<Record>>,
    /// The status in the record, readable while a change waits for the guards.
    status: watch::Sender<GrantStatus>,
    comparison: Mutex<Comparison>,
    /// Held while notices about it are sent, so that they arrive in order.
    delivery: Arc<Mutex<()>>,
    /// Held while it is changed: only its holder replaces the record.
    changing: Arc<Mutex<()>>,
    /// How many changes wait for the guards.
    waiting: watch::Sender<usize>,
}

impl Live {
    pub(in crate::negotiation) fn open(record: Record, us: &InstitutionId) -> Result<Self, NegotiationError> {
        let [provider, consumer] = record.keys;
        let grant = ValidGrant::check(record.terms.clone(), provider, consumer)?;
        let ours = |party: &Party| grant.terms().side(*party).institution == *us;
        let party = [Party::Provider, Party::Consumer].into_iter().find(ours);
        let party = party.ok_or(NegotiationError::ForeignGrant {
            grant: grant.terms().grant,
        })?;
        Ok(Self {
            dataset: BoundCollection::new(grant.terms().scope.collection.clone(), record.dataset),
            grant,
            party,
            status: watch::Sender::new(record.state.status),
            comparison: Mutex::default(),
            record: Arc::new(RwLock::new(record)),
            delivery: Arc::default(),
            changing: Arc::default(),
            waiting: watch::Sender::new(0),
        })
    }

    pub(in crate::negotiation) fn terms(&self) -> &GrantTerms {
        self.grant.terms()
    }

    pub(in crate::negotiation) const fn party(&self) -> Party {
        self.party
    }

    pub(in crate::negotiation) fn peer(&self) -> &InstitutionId {
        match self.party {
            Party::Provider => &self.terms().consumer,
            Party::Consumer => &self.terms().provider,
        }
    }

    /// The other institution with the key that the terms name.
    pub(in crate::negotiation) fn peer_side(&self) -> Side {
        self.terms().side(self.party.other())
    }

    /// The dataset that it is about, and no other of the same name.
    pub(in crate::negotiation) const fn dataset(&self) -> &BoundCollection {
        &self.dataset
    }

    /// The comparison with the other side. While this is held, no other task compares.
    pub(in crate::negotiation) async fn comparison(&self) -> MutexGuard<'_, Comparison> {
        self.comparison.lock().await
    }

    /// What differs from the other side; `None` if nothing does, or while it is being compared.
    pub(super) fn difference(&self) -> Option<Reason> {
        self.comparison.try_lock().ok()?.difference.clone()
    }

    pub(super) fn record(&self) -> Arc<RwLock<Record>> {
        self.record.clone()
    }

    pub(super) async fn delivery(&self) -> OwnedMutexGuard<()> {
        self.delivery.clone().lock_owned().await
    }

    pub(in crate::negotiation) async fn shared(&self) -> RwLockReadGuard<'_, Record> {
        self.record.read().await
    }

    /// The grant, to change it: no other change begins meanwhile. Chunks are sent until [`LockedGrant::exclude_chunks`].
    pub(super) async fn lock_change(self: Arc<Self>) -> LockedGrant {
        let changing = self.changing.clone().lock_owned().await;
        let record = Box::new(self.record.read().await.clone());
        LockedGrant {
            live: self,
            record,
            _changing: changing,
        }
    }

    /// The record, once each chunk that was sent has arrived or can no longer arrive; none is sent meanwhile. While this waits for the guards,
    /// their holders see that it does, so that none makes it wait for long.
    async fn exclude_chunks(self: Arc<Self>) -> ExclusiveGrant {
        let waiting = Waiting::new(&self.waiting);
        let held = self.record.clone().write_owned().await;
        drop(waiting);
        ExclusiveGrant { live: self, held }
    }

    /// What it gives the other side of `dataset`, until it has ended.
    pub(super) fn held(&self, dataset: &BoundCollection, now: Timestamp) -> Option<Held> {
        let terms = self.terms();
        let is_over = terms.scope.window.not_after() <= now || self.status.borrow().is_final();
        let is_about = self.party == Party::Provider && self.dataset == *dataset;
        (is_about && !is_over).then(|| Held {
            place: Precedence::of_terms(terms),
            scope: HeldScope {
                under: HeldUnder::Grant(terms.grant),
                scope: terms.scope.clone(),
            },
        })
    }

    /// Its state at `now`, also while a change waits for the guards.
    pub(super) fn effective(&self, now: Timestamp) -> Effective {
        let state = GrantState {
            status: *self.status.borrow(),
            since: now,
            reason: None,
        };
        state.effective(self.terms(), now)
    }

    pub(super) fn changes(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    pub(super) async fn view(&self) -> GrantView {
        let state = self.shared().await.state.clone();
        GrantView {
            terms: self.grant.shared_terms(),
            party: self.party,
            state,
            digest: self.grant.digest(),
            difference: self.difference(),
        }
    }
}

/// A grant, locked for a change: no other one changes its record meanwhile.
#[derive(Debug)]
pub(in crate::negotiation) struct LockedGrant {
    live: Arc<Live>,
    /// Its record, as only the holder of the lock can change it.
    record: Box<Record>,
    _changing: OwnedMutexGuard<()>,
}

impl LockedGrant {
    pub(in crate::negotiation) fn live(&self) -> &Live {
        &self.live
    }

    /// Its record before the change.
    pub(in crate::negotiation) fn record(&self) -> &Record {
        &self.record
    }

    /// Prevents further chunks under the grant from now on, and begins to wait for those in transit. Meanwhile the caller can do what has to be
    /// done before the change too. If the result is dropped, chunks are sent again.
    pub(in crate::negotiation) fn exclude_chunks(&self) -> Exclusion {
        let excluding = Arc::clone(&self.live).exclude_chunks();
        Exclusion(AbortOnDropHandle::new(tokio::spawn(excluding)))
    }
}

/// A grant under which no further chunk is sent, until those in transit have arrived or can no longer arrive.
#[derive(Debug)]
#[must_use = "if it is dropped, chunks are sent again"]
pub(in crate::negotiation) struct Exclusion(AbortOnDropHandle<ExclusiveGrant>);

impl Exclusion {
    /// Waits for the chunks in transit. Blocks, on a thread of the runtime that may.
    ///
    /// # Errors
    /// If the node is stopping.
    pub(in crate::negotiation) fn wait(self) -> Result<ExclusiveGrant, JoinError> {
        Handle::current().block_on(self.0)
    }
}

/// A grant under which no chunk is in transit, and none is sent.
#[derive(Debug)]
pub(in crate::negotiation) struct ExclusiveGrant {
    live: Arc<Live>,
    held: OwnedRwLockWriteGuard<Record>,
}

impl ExclusiveGrant {
    /// Makes the change visible, once it is stored.
    pub(in crate::negotiation) fn set(&mut self, record: Record) {
        self.live.status.send_replace(record.state.status);
        *self.held = record;
    }
}

/// Counts a change as waiting until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count = count.saturating_add(1));
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A grant as shown to users.
#[derive(Clone, Debug)]
pub struct GrantView {
    /// The terms that both sides signed. All views share them: each query looks at every grant.
    pub terms: Arc<GrantTerms>,
    /// Which side this node is on.
    pub party: Party,
    /// Its state.
    pub state: GrantState,
    /// Digest of the terms.
    pub digest: Digest32,
    /// What the other side states about it that differs.
    pub difference: Option<Reason>,
}

impl GrantView {
    /// The effective state at `now`.
    pub fn effective(&self, now: Timestamp) -> Effective {
        self.state.effective(&self.terms, now)
    }
}

/// A notice that has to reach the other side.
#[derive(Clone, Debug)]
pub(crate) struct PendingNotice {
    /// The grant that changed.
    pub grant: GrantId,
    /// The recipient.
    pub to: Side,
    /// Number of the newest notice about the grant.
    pub newest: u32,
    /// The notice with its signature.
    pub notice: Verified<Notice, NodeId>,
}
