//! The consortium as known to this node: the roster, how it changes, and how peers learn about changes.
//!
//! 1. The founder creates the first roster; its institution key becomes the charter key, which every member pins when it joins.
//! 2. A roster is accepted only through [`ValidRoster::check`]: signed by the pinned key, not expired, not older than the known one.
//! 3. It is in the sealed state and in the ledger before the gate applies it ([`crate::bound_state`]); then the epoch is raised,
//!    so that running answers are evaluated again. A start never reads a roster from a file.
//! 4. Sessions end when the roster or the certificate behind them is no longer valid (`sessions.rs`).
//! 5. Peers exchange newer rosters over `/concordat/roster/1`, when they connect ([`hello`]) and when a roster changes.

mod dialing;
mod error;
pub mod hello;
mod holders;
mod keys;
mod refused;
mod review;
mod roster_sync;
mod sealed;
mod sessions;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::identity::{InstitutionKey, PrivateKey as _};
use concordat_protocol::ids::{InstitutionId, NodeId};
use concordat_protocol::membership::{
    Enrollment, KeySuccession, Member, MemberNode, PinnedCharter, Roster, RosterError, ValidEnrollment, ValidRoster,
    admit, from_file, remove, replace_key, to_armor,
};
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::text::{Address, ConsortiumName, Reason};
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::{SealedTree, TreeId};
use concordat_storage::{
    data_dir::Storage,
    keys::Identities,
    ledger::{Attribution, Ledger},
};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::sync::{Mutex, watch};

pub use dialing::NotDialed;
pub use error::MembershipError;
pub use holders::{Issued, Proposal};
pub use keys::{NextKey, UnconfirmedKey};
pub use refused::RefusedRoster;
pub use review::Review;
pub use roster_sync::ROSTER;
pub use sealed::SealedRoster;

use crate::attribution::by_node;
use crate::bound_state::Versions;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;
use crate::ledger_heads::LedgerHeads;
use crate::network::{Members, NetworkHandle};
use crate::refusals::Refusals;
use dialing::AllowedHosts;
use keys::Confirmations;
use refused::RefusedRosters;

/// How long a roster is valid before the coordinator has to sign it again.
const ROSTER_VALIDITY: Duration = Duration::from_secs(90 * 86_400);
/// The key of the only entry in the tree of pins.
const CHARTER: &str = "charter";

/// A cloneable handle to this node's view of the consortium.
#[derive(Clone, Debug)]
pub struct Membership(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    ledger: Ledger,
    clock: Clock,
    network: NetworkHandle,
    epoch: Epoch,
    heads: LedgerHeads,
    announced: Vec<Address>,
    pins: SealedTree<PinnedCharter>,
    allowed_hosts: AllowedHosts,
    changes: Changes,
    confirmations: Confirmations,
    storage: Storage,
    sealed: Versions<SealedRoster>,
    roster: watch::Sender<Option<Arc<ValidRoster>>>,
    changing: Mutex<()>,
    rejected_peers: std::sync::Mutex<BTreeMap<NodeId, String>>,
    bad_hellos: Refusals,
    refused_rosters: RefusedRosters,
}

/// What an administrator has approved for the admission of an applicant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Hosts of the applicant that this node dials from now on although they are not in a configured range.
    pub allow_hosts: Vec<IpAddr>,
    /// Whether the applicant is a member that has lost its key, and whose new key was verified with it.
    pub replace_key: bool,
}

/// The parts that [`Membership`] needs.
#[derive(Debug)]
pub struct MembershipParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Where pins and roster are stored.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// The network whose gate follows the roster.
    pub network: NetworkHandle,
    /// Raised when the roster changes.
    pub epoch: Epoch,
    /// Addresses to announce; if empty, those that this node listens on.
    pub announced: Vec<Address>,
}

impl Inner {
    fn identities(&self) -> &Identities {
        self.storage.identities()
    }
}

impl Membership {
    /// Loads the roster that was current when the node stopped. An expired roster is loaded for its members' keys, but no
    /// request is served under it.
    ///
    /// # Errors
    /// [`MembershipError`] when it is damaged or not signed by the key that was pinned.
    pub async fn open(parts: MembershipParts) -> Result<Self, MembershipError> {
        let MembershipParts {
            identity,
            storage,
            ledger,
            clock,
            network,
            epoch,
            announced,
        } = parts;
        let pins = storage.meta().tree(TreeId::new("membership"))?;
        let allowed_hosts = AllowedHosts::open(storage.meta())?;
        network.dialing().allow_only(allowed_hosts.all()?);
        let changes = Changes::open(storage.meta(), ledger.clone())?;
        let sealed = Versions::open(storage.meta())?;
        let heads = LedgerHeads::open(
            identity.clone(),
            ledger.clone(),
            clock.clone(),
            epoch.clone(),
            storage.meta(),
        )?;
        let membership = Self(Arc::new(Inner {
            identity,
            ledger,
            clock,
            network,
            epoch,
            heads,
            announced,
            pins,
            allowed_hosts,
            changes,
            confirmations: Confirmations::open(storage.meta())?,
            storage,
            sealed,
            roster: watch::Sender::new(None),
            changing: Mutex::new(()),
            rejected_peers: std::sync::Mutex::default(),
            bad_hellos: Refusals::default(),
            refused_rosters: RefusedRosters::default(),
        }));
        if let Some(pinned) = membership.0.pins.get(CHARTER)? {
            membership.reload(pinned).await?;
        }
        Ok(membership)
    }

    /// The newest roster, even if it has expired.
    pub fn newest(&self) -> Option<Arc<ValidRoster>> {
        self.0.roster.borrow().clone()
    }

    /// The heads of this node's ledger and of its peers' ledgers.
    pub fn heads(&self) -> &LedgerHeads {
        &self.0.heads
    }

    /// Watches the roster change.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<ValidRoster>>> {
        self.0.roster.subscribe()
    }

    /// The roster, if it is valid at `now`.
    ///
    /// # Errors
    /// [`MembershipError::NoConsortium`] before the node has joined one; [`MembershipError::Roster`] when it has expired;
    /// [`MembershipError::OwnLedger`] while this node is an older copy of itself: it then neither serves nor sends requests.
    pub fn valid_roster(&self, now: Timestamp) -> Result<Arc<ValidRoster>, MembershipError> {
        let roster = self.newest().ok_or(MembershipError::NoConsortium)?;
        roster.check_validity(now)?;
        if self.0.heads.own_conflict().is_some() {
            return Err(MembershipError::OwnLedger);
        }
        Ok(roster)
    }

    /// Founds a consortium with this institution as its only member and coordinator.
    ///
    /// # Errors
    /// [`MembershipError::AlreadyMember`] when the node belongs to one.
    pub async fn found(&self, name: ConsortiumName, by: &Attribution) -> Result<Arc<ValidRoster>, MembershipError> {
        let _changing = self.0.changing.lock().await;
        if self.newest().is_some() {
            return Err(MembershipError::AlreadyMember);
        }
        let now = self.0.clock.now();
        let founder = ValidEnrollment::check(self.statement(None)?, now)?;
        let roster = Roster::found(name, &founder, now, after(now, ROSTER_VALIDITY));
        let pinned = roster.pinned_charter()?;
        self.pin(pinned.clone()).await?;
        let signed = CoSigned::propose(&roster)?.add_signature(&self.0.identity.institution_key())?;
        self.accept_roster(signed, &pinned, by).await
    }

    /// This institution's application to join, or its newer statement about itself, as text that can be mailed. It lists this node
    /// and the other nodes of the institution: those on the present roster, or on the one in `roster_file` for a node that has
    /// not joined yet.
    ///
    /// # Errors
    /// [`MembershipError`] when it cannot be signed, or the file is not a roster with a statement of this institution.
    pub fn enroll(&self, roster_file: Option<&[u8]>) -> Result<String, MembershipError> {
        Ok(to_armor(&self.statement(roster_file)?))
    }

    fn statement(&self, roster_file: Option<&[u8]>) -> Result<Signed<Enrollment>, MembershipError> {
        self.stated_by(&self.0.identity.institution_key(), roster_file, None)
    }

    /// This institution's statement about itself, signed with `key`.
    fn stated_by(
        &self,
        key: &InstitutionKey,
        roster_file: Option<&[u8]>,
        succeeds: Option<Signed<KeySuccession>>,
    ) -> Result<Signed<Enrollment>, MembershipError> {
        let (identity, now) = (&self.0.identity, self.0.clock.now());
        let stated = match roster_file {
            Some(file) => Some(self.stated_in(file)?),
            None => self.newest().and_then(|roster| {
                let ours = roster.member(&identity.institution)?;
                (ours.key == identity.institution_public()).then(|| (ours.nodes.clone(), ours.stated_at))
            }),
        };
        let (mut nodes, issued_at) = match stated {
            // A statement replaces an earlier one only if it is later, so the clock alone does not decide.
            Some((nodes, at)) => (nodes, now.max(at.plus_millis(1))),
            None => (Vec::new(), now),
        };
        nodes.retain(|node| node.node != identity.node());
        nodes.push(MemberNode {
            node: identity.node(),
            addresses: self.addresses()?,
        });
        let enrollment = Enrollment {
            institution: identity.institution.clone(),
            name: identity.name.clone(),
            jurisdiction: identity.jurisdiction.clone(),
            key: key.public(),
            nodes,
            issued_at,
            succeeds,
        };
        Ok(Signed::sign(&enrollment, key)?.signed().clone())
    }

    /// What this institution has stated about its nodes on the roster in `file`, verified by its own signature.
    fn stated_in(&self, file: &[u8]) -> Result<(Vec<MemberNode>, Timestamp), MembershipError> {
        let identity = &self.0.identity;
        let roster = from_file::<CoSigned<Roster>>(file)?.peek_unverified()?;
        let ours = |member: &Member| member.institution == identity.institution;
        let entry = roster.members.into_iter().find(ours);
        let entry = entry.ok_or_else(|| MembershipError::NotListed {
            institution: identity.institution.clone(),
        })?;
        let stated = entry.statement.verify(identity.institution_public())?;
        Ok((stated.document().nodes.clone(), stated.document().issued_at))
    }

    /// Admits the applicant in `file` and signs the next roster. Returns the outcome with the applicant's id and key fingerprint, which are
    /// to be compared by telephone.
    ///
    /// # Errors
    /// [`MembershipError`] when the file is not a valid application, names an address that this node does not dial, or this
    /// institution is not the coordinator.
    pub async fn admit(
        &self,
        file: &[u8],
        by: &Attribution,
    ) -> Result<(Issued, InstitutionId, String), MembershipError> {
        self.admit_with(file, &Admission::default(), by).await
    }

    /// As [`Membership::admit`], with what an administrator has approved.
    ///
    /// # Errors
    /// As for [`Membership::admit`].
    pub async fn admit_with(
        &self,
        file: &[u8],
        admission: &Admission,
        by: &Attribution,
    ) -> Result<(Issued, InstitutionId, String), MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let applicant = ValidEnrollment::check(from_file(file)?, now)?;
        let enrollment = applicant.enrollment();
        let (institution, fingerprint) = (enrollment.institution.clone(), enrollment.key.fingerprint());
        // Everything that can refuse the applicant comes before the entry that its hosts are allowed.
        let current = self.roster_to_change()?;
        let change = if admission.replace_key { replace_key } else { admit };
        let next = change(current.roster(), &applicant, now, ROSTER_VALIDITY)?;
        let checked = self.check_to_issue(&next, now)?;
        let hosts = self.hosts_to_allow(enrollment, &admission.allow_hosts)?;
        self.allow_hosts(institution.clone(), hosts, by).await?;
        let issued = self.issue(checked, by, now).await?;
        Ok((issued, institution, fingerprint))
    }

    /// Removes a member and signs the next roster; once it takes effect, the member's connections are closed.
    ///
    /// # Errors
    /// [`MembershipError`] when there is no such member or this institution is not the coordinator.
    pub async fn remove(&self, institution: &InstitutionId, by: &Attribution) -> Result<Issued, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let current = self.roster_to_change()?;
        let next = remove(current.roster(), institution, now, ROSTER_VALIDITY)?;
        self.issue(self.check_to_issue(&next, now)?, by, now).await
    }

    /// Joins the consortium whose roster is in `file`: pins its charter and accepts the roster.
    ///
    /// # Errors
    /// [`MembershipError`] when the node belongs to a different one, or the roster does not list this node with its keys.
    pub async fn join(&self, file: &[u8], by: &Attribution) -> Result<Arc<ValidRoster>, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let signed: CoSigned<Roster> = from_file(file)?;
        let pinned = match self.pinned_charter()? {
            Some(pinned) => pinned,
            None => signed.peek_unverified()?.pinned_charter()?,
        };
        let checked = ValidRoster::check(signed.clone(), &pinned, None, self.0.clock.now())?;
        self.check_listed(&checked)?;
        self.pin(pinned.clone()).await?;
        self.accept_roster(signed, &pinned, by).await
    }

    /// Accepts a newer roster from a peer or a file.
    ///
    /// # Errors
    /// [`MembershipError`] when it is not signed by the pinned charter key, older, expired, or contradicts the known one.
    pub async fn import(
        &self,
        signed: CoSigned<Roster>,
        by: &Attribution,
    ) -> Result<Arc<ValidRoster>, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let pinned = self.pinned_charter()?.ok_or(MembershipError::NoConsortium)?;
        self.accept_roster(signed, &pinned, by).await
    }

    /// The newest roster as text that can be mailed.
    ///
    /// # Errors
    /// [`MembershipError::NoConsortium`].
    pub fn export(&self) -> Result<String, MembershipError> {
        Ok(to_armor(self.newest().ok_or(MembershipError::NoConsortium)?.signed()))
    }

    /// The pinned charter.
    ///
    /// # Errors
    /// [`MembershipError`] when the state cannot be read.
    pub fn pinned_charter(&self) -> Result<Option<PinnedCharter>, MembershipError> {
        Ok(self.0.pins.get(CHARTER)?)
    }

    /// The newest roster, if this institution is a coordinator and may change it.
    fn roster_to_change(&self) -> Result<Arc<ValidRoster>, MembershipError> {
        let current = self.newest().ok_or(MembershipError::NoConsortium)?;
        if current.roster().charter.holds(&self.0.identity.institution_public()) {
            Ok(current)
        } else {
            Err(MembershipError::NotCoordinator)
        }
    }

    /// Checks a roster, records it, then applies it. Recording comes first: a node that stops in between applies it at the next start.
    async fn accept_roster(
        &self,
        signed: CoSigned<Roster>,
        pinned: &PinnedCharter,
        by: &Attribution,
    ) -> Result<Arc<ValidRoster>, MembershipError> {
        let now = self.0.clock.now();
        let known = self.newest();
        let roster = match ValidRoster::check(signed.clone(), pinned, known.as_deref(), now) {
            Ok(roster) => Arc::new(roster),
            Err(error) => {
                self.note_refused_roster(&signed, &error, by, now).await;
                return Err(error.into());
            }
        };
        if known.is_some_and(|known| known.digest() == roster.digest()) {
            return Ok(roster);
        }
        let entry = EntryBody::RosterAccepted {
            number: roster.number(),
            digest: roster.digest(),
        };
        let value = SealedRoster {
            number: roster.number(),
            signed: roster.signed().clone(),
        };
        let (inner, attribution) = (self.0.clone(), by.clone());
        tokio::task::spawn_blocking(move || inner.sealed.adopt(value, &inner.ledger, entry, &attribution, now))
            .await??;
        // After the roster: from the old pin the new charter can be verified, but not the other way round.
        let next = roster.roster().pinned_charter()?;
        if next != *pinned {
            self.pin(next).await?;
        }
        self.apply(roster.clone(), by).await?;
        Ok(roster)
    }

    /// The roster that was rejected last, if no roster at least as new has been accepted since.
    pub fn refused(&self) -> Option<RefusedRoster> {
        self.0.refused_rosters.newest()
    }

    /// Records a roster with which the charter key was misused, and shows it until a newer one is accepted.
    async fn note_refused_roster(
        &self,
        signed: &CoSigned<Roster>,
        error: &RosterError,
        by: &Attribution,
        now: Timestamp,
    ) {
        let (Ok(digest), Ok(roster)) = (signed.payload_digest(), signed.peek_unverified()) else {
            return;
        };
        if !error.is_abuse() {
            return;
        }
        let (number, reason) = (roster.number, Reason::sanitized(&error.to_string()));
        let due = self.0.refused_rosters.note(digest, by, &reason, now);
        self.enter_refusals(due.before).await;
        if !due.roster {
            return;
        }
        tracing::warn!(number, %error, "a roster signed by the charter key was rejected");
        self.0.refused_rosters.show(RefusedRoster {
            number,
            digest,
            reason: error.to_string(),
            at: now,
        });
        let refusal = EntryBody::RosterRefused { number, digest, reason };
        if let Err(error) = self.0.ledger.append_async(refusal, by, now).await {
            tracing::error!(%error, "the refusal of a roster could not be written to the ledger");
        }
    }

    async fn reload(&self, pinned: PinnedCharter) -> Result<(), MembershipError> {
        let Some(SealedRoster { signed, .. }) = self.0.sealed.current()? else {
            // The node stopped between the pin and the roster: it has to join again.
            return Ok(());
        };
        // An expired roster is checked as of the time it was issued: its members' keys are still needed to accept the next one.
        let issued_at = signed.peek_unverified()?.issued_at;
        let roster = Arc::new(ValidRoster::check(signed, &pinned, None, issued_at)?);
        let current = roster.roster().pinned_charter()?;
        if current != pinned {
            // The node stopped between the roster and the pin.
            self.pin(current).await?;
        }
        if let Err(expired) = roster.check_validity(self.0.clock.now()) {
            tracing::warn!(%expired, "nothing is served until a newer roster arrives");
        }
        self.apply(roster, &by_node(NodeTask::Start)).await
    }

    async fn apply(&self, roster: Arc<ValidRoster>, by: &Attribution) -> Result<(), MembershipError> {
        self.follow_own_key(&roster, by).await?;
        self.drop_hosts_of_removed(roster.clone()).await?;
        self.0.network.set_members(Arc::new(self.peers(&roster))).await?;
        let number = roster.number();
        self.warn_of_addresses(&roster);
        self.0.roster.send_replace(Some(roster));
        self.0.refused_rosters.forget_until(number);
        self.end_sessions().await?;
        self.0.epoch.raise();
        Ok(())
    }

    fn peers(&self, roster: &ValidRoster) -> Members {
        let ours = self.0.identity.node();
        let nodes = roster
            .active_members()
            .flat_map(|member| member.nodes.iter().map(|node| (node, &member.institution)));
        nodes
            .filter(|(node, _)| node.node != ours)
            .map(|(node, institution)| {
                let addresses = node.addresses.iter().filter_map(|a| a.as_str().parse().ok());
                (node.node, institution.clone(), addresses.collect())
            })
            .collect()
    }

    fn check_listed(&self, roster: &ValidRoster) -> Result<(), MembershipError> {
        let identity = &self.0.identity;
        let listed = roster.active_node(&identity.node()).is_some_and(|member| {
            member.institution == identity.institution && member.key == identity.institution_public()
        });
        if listed {
            Ok(())
        } else {
            Err(MembershipError::NotListed {
                institution: identity.institution.clone(),
            })
        }
    }

    fn addresses(&self) -> Result<Vec<Address>, MembershipError> {
        if !self.0.announced.is_empty() {
            return Ok(self.0.announced.clone());
        }
        let mut listening = self.0.network.listen_addrs();
        // Addresses are tried in this order. TCP first: it is faster, and a peer that dies is noticed at once.
        listening.sort_by_key(|address| !address.iter().any(|part| matches!(part, Protocol::Tcp(_))));
        let addresses: Vec<_> = listening
            .iter()
            .map(Multiaddr::to_string)
            .filter_map(|text| Address::new(&text).ok())
            .collect();
        if addresses.is_empty() {
            Err(MembershipError::NoAddress)
        } else {
            Ok(addresses)
        }
    }

    async fn pin(&self, pinned: PinnedCharter) -> Result<(), MembershipError> {
        let pins = self.0.pins.clone();
        Ok(tokio::task::spawn_blocking(move || pins.put(CHARTER, &pinned)).await??)
    }
}

fn after(now: Timestamp, validity: Duration) -> Timestamp {
    now.plus_seconds(i64::try_from(validity.as_secs()).unwrap_or(i64::MAX))
}
