//! The handle to this node's view of the consortium, and what it shows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use concordat_keys::Identities;
use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::{PinnedCharter, ValidRoster, to_armor};
use concordat_protocol::text::Address;
use concordat_protocol::time::Timestamp;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;
use concordat_storage::meta::{SealedTree, TreeId};
use tokio::sync::{Mutex, Notify, watch};

use super::address_book::AddressBook;
use super::allowed_hosts::AllowedHosts;
use super::confirmations::Confirmations;
use super::error::MembershipError;
use super::refused::{RefusedRoster, RefusedRosters};
use super::rejected_peers::{RejectedPeers, Rejection};
use super::sealed::SealedRoster;
use crate::bound_state::Versions;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;
use crate::ledger_heads::{CountedStart, LedgerHeads};
use crate::refusals::Refusals;
use crate::restorations::Restorations;
use concordat_network::NetworkHandle;

/// The key of the only entry in the tree of pins.
const CHARTER: &str = "charter";

/// A cloneable handle to this node's view of the consortium.
#[derive(Clone, Debug)]
pub struct Membership(pub(super) Arc<Inner>);

/// What all clones of the handle share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) identity: Arc<Identity>,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) network: NetworkHandle,
    pub(super) epoch: Epoch,
    pub(super) heads: LedgerHeads,
    pub(super) announced: Vec<Address>,
    pub(super) addresses: AddressBook,
    /// Notified when a record of this node arrived that is newer than its own.
    pub(super) restated: Notify,
    pub(super) pins: SealedTree<PinnedCharter>,
    pub(super) allowed_hosts: AllowedHosts,
    pub(super) changes: Changes,
    pub(super) confirmations: Confirmations,
    pub(super) storage: Storage,
    pub(super) sealed: Versions<SealedRoster>,
    pub(super) roster: watch::Sender<Option<Arc<ValidRoster>>>,
    /// One change of the roster or of a key at a time.
    pub(super) changing: Mutex<()>,
    pub(super) rejected_peers: RejectedPeers,
    pub(super) bad_hellos: Refusals,
    pub(super) refused_rosters: RefusedRosters,
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
    /// How often this node went on from an older copy of its state.
    pub restorations: Restorations,
    /// The present start, which each hello states.
    pub start: CountedStart,
}

impl Inner {
    pub(super) fn identities(&self) -> &Identities {
        self.storage.identities()
    }
}

impl Membership {
    /// A handle without a roster, over the stored state.
    ///
    /// # Errors
    /// [`MembershipError`] if the state cannot be read.
    pub(super) fn without_roster(parts: MembershipParts) -> Result<Self, MembershipError> {
        let MembershipParts {
            identity,
            storage,
            ledger,
            clock,
            network,
            epoch,
            announced,
            restorations,
            start,
        } = parts;
        let pins = storage.meta().tree(TreeId::new("membership"))?;
        let allowed_hosts = AllowedHosts::open(storage.meta())?;
        network.dialing().allow_only(allowed_hosts.all()?);
        let addresses = AddressBook::open(storage.meta())?;
        let changes = Changes::open(storage.meta(), ledger.clone())?;
        let sealed = Versions::open(storage.meta())?;
        let heads = LedgerHeads::open(
            identity.clone(),
            ledger.clone(),
            clock.clone(),
            epoch.clone(),
            storage.meta(),
            restorations,
            start,
        )?;
        Ok(Self(Arc::new(Inner {
            identity,
            ledger,
            clock,
            network,
            epoch,
            heads,
            announced,
            addresses,
            restated: Notify::new(),
            pins,
            allowed_hosts,
            changes,
            confirmations: Confirmations::open(storage.meta())?,
            storage,
            sealed,
            roster: watch::Sender::new(None),
            changing: Mutex::new(()),
            rejected_peers: RejectedPeers::default(),
            bad_hellos: Refusals::default(),
            refused_rosters: RefusedRosters::default(),
        })))
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
    /// [`MembershipError::NoConsortium`] before the node has joined one; [`MembershipError::StoredRoster`] when it has expired;
    /// [`MembershipError::OwnCopy`] while this node is a copy of itself: it then neither serves nor sends requests.
    pub fn valid_roster(&self, now: Timestamp) -> Result<Arc<ValidRoster>, MembershipError> {
        let roster = self.newest().ok_or(MembershipError::NoConsortium)?;
        roster.check_validity(now).map_err(MembershipError::StoredRoster)?;
        if self.0.heads.is_copy() {
            return Err(MembershipError::OwnCopy);
        }
        Ok(roster)
    }

    /// The newest roster as text that can be mailed.
    ///
    /// # Errors
    /// [`MembershipError::NoConsortium`].
    pub fn export(&self) -> Result<String, MembershipError> {
        Ok(to_armor(self.newest().ok_or(MembershipError::NoConsortium)?.signed()))
    }

    /// The roster that was rejected last, if no roster at least as new has been accepted since.
    pub fn refused(&self) -> Option<RefusedRoster> {
        self.0.refused_rosters.newest()
    }

    /// The members whose last hello was rejected, each with the reason.
    pub(crate) fn rejected_peers(&self) -> BTreeMap<NodeId, Rejection> {
        self.0.rejected_peers.all()
    }

    /// The pinned charter.
    ///
    /// # Errors
    /// [`MembershipError`] when the state cannot be read.
    pub fn pinned_charter(&self) -> Result<Option<PinnedCharter>, MembershipError> {
        Ok(self.0.pins.get(CHARTER)?)
    }

    /// Pins the charter that the next roster has to be signed by.
    pub(super) async fn pin(&self, pinned: PinnedCharter) -> Result<(), MembershipError> {
        let pins = self.0.pins.clone();
        Ok(tokio::task::spawn_blocking(move || pins.put(CHARTER, &pinned)).await??)
    }
}
