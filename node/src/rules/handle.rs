//! The handle to the rules that this node and its peers announce.

use std::sync::Arc;

use concordat_network::{NetworkHandle, Session};
use concordat_protocol::ids::NodeId;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{RulesSender, RulesStatement, ValidRules};
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;
use concordat_storage::meta::MetaError;
use tokio::sync::OwnedMutexGuard;

use super::error::ExchangeError;
use super::exchanges::Exchanges;
use super::own::OwnRules;
use super::peer_probes::{PeerProbe, PeerProbes};
use super::statement::enforced;
use super::store::{PeerRules, PeerRulesStore, Received};
use crate::attribution::by_peer;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;
use crate::membership::Membership;
use crate::policies::LivePolicy;

/// A cloneable handle to the rules that this node and its peers announce.
#[derive(Clone, Debug)]
pub struct Rules(pub(super) Arc<Inner>);

/// What all clones of the handle share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: RulesParts,
    own: OwnRules,
    /// Held while what is enforced is read, so that one thread does it and none waits for it.
    presenting: Arc<tokio::sync::Mutex<()>>,
    pub(super) exchanges: Exchanges,
    pub(super) peers: PeerRulesStore,
    pub(super) probes: PeerProbes,
}

/// The parts that [`Rules`] needs.
#[derive(Debug)]
pub struct RulesParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Where the records of collections and the statements of peers are.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Raised when what is enforced may have changed.
    pub epoch: Epoch,
    /// The network.
    pub network: NetworkHandle,
    /// Who is a member, and the present start of this node.
    pub membership: Membership,
    /// The active policy set.
    pub policy: LivePolicy,
}

impl Rules {
    /// Loads the stored statements of peers, and what was found when they were probed.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(parts: RulesParts) -> Result<Self, MetaError> {
        let peers = PeerRulesStore::open(parts.storage.meta())?;
        let probes = PeerProbes::open(parts.storage.meta())?;
        Ok(Self(Arc::new(Inner {
            parts,
            own: OwnRules::default(),
            presenting: Arc::default(),
            exchanges: Exchanges::default(),
            peers,
            probes,
        })))
    }

    /// What this node has announced; `None` before its first statement.
    pub fn own(&self) -> Option<RulesStatement> {
        self.0.own.newest()
    }

    /// What each peer has announced, connected or not.
    pub fn peers(&self) -> Vec<PeerRules> {
        self.0.peers.all()
    }

    /// What was found when a peer was last probed; `None` if it was not.
    pub fn probed(&self, node: &NodeId) -> Option<PeerProbe> {
        self.0.probes.of(node)
    }

    pub(super) fn network(&self) -> &NetworkHandle {
        &self.0.parts.network
    }

    /// This node's statement, signed again if what it enforces has changed. Peers request it as often as they like, so the records are read only if
    /// something has changed since they were read last.
    pub(super) async fn present(&self) -> Result<Signed<RulesStatement>, ExchangeError> {
        let presenting = Arc::clone(&self.0.presenting).lock_owned().await;
        let parts = &self.0.parts;
        if let Some(stated) = self
            .0
            .own
            .stated_at(parts.epoch.current(), parts.membership.heads().start())
        {
            return Ok(stated);
        }
        self.read_and_present(presenting).await
    }

    /// The same, whether or not the epoch was raised: an operation that has failed may have changed the records before.
    pub(super) async fn present_from_records(&self) -> Result<Signed<RulesStatement>, ExchangeError> {
        let presenting = Arc::clone(&self.0.presenting).lock_owned().await;
        self.read_and_present(presenting).await
    }

    async fn read_and_present(&self, presenting: OwnedMutexGuard<()>) -> Result<Signed<RulesStatement>, ExchangeError> {
        let rules = self.clone();
        let present = move || {
            let presented = rules.present_blocking();
            drop(presenting);
            presented
        };
        tokio::task::spawn_blocking(present).await?
    }

    fn present_blocking(&self) -> Result<Signed<RulesStatement>, ExchangeError> {
        let parts = &self.0.parts;
        // Before the records are read: a change that comes in between raises it, and they are read again the next time.
        let epoch = parts.epoch.current();
        let read = || {
            let datasets = parts.storage.catalog().datasets();
            let published = datasets.map_collections(|record| record.published.then(|| record.release.clone()))?;
            let published: Vec<ReleaseRules> = published.into_iter().flatten().collect();
            let start = parts.membership.heads().start();
            Ok::<_, ExchangeError>((start, enforced(&parts.policy.current(), &published)))
        };
        self.0.own.present(&parts.identity, (epoch, parts.clock.now()), read)
    }

    /// Checks a statement that the peer of `session` has sent, and keeps it if it is newer.
    pub(super) async fn receive(
        &self,
        signed: Signed<RulesStatement>,
        session: &Session,
    ) -> Result<ValidRules, ExchangeError> {
        let attested = session.until_attested().await?;
        let now = self.0.parts.clock.now();
        let sender = RulesSender {
            node: session.peer(),
            institution: &attested.institution,
            start: attested.start,
        };
        let valid = ValidRules::check(signed, sender, now)?;
        let by = by_peer(session);
        let inner = self.0.clone();
        let received = valid.clone();
        let keep = move || {
            let enter = |entry| inner.parts.ledger.append(entry, &by, now).map(drop);
            inner.peers.receive(&received, now, enter)
        };
        match tokio::task::spawn_blocking(keep).await?? {
            Received::Weaker => {
                tracing::warn!("the peer announces weaker rules than before; `concordat status` shows them")
            }
            Received::TooMany => tracing::info!("the peer announces other rules too often; the last ones are ignored"),
            Received::Newer | Received::Known => {}
        }
        Ok(valid)
    }
}
