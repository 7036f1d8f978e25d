//! The running node: its parts and the order in which they start and stop.
//!
//! Start: storage is unlocked by the caller; then people and policy, the network with a closed gate, the grants, the roster
//! (which opens the gate), the services that answer peers, and at last the APIs. Stop is the reverse; see [`crate::shutdown`].

mod error;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use concordat_keys::Argon2Cost;
use concordat_protocol::identity::NodeKey;
use concordat_protocol::text::Address;
use concordat_protocol::wire::streams::{ADDRESSES, HELLO, ROSTER};
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::{Ledger, Verification};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::error::StartError;
use crate::changes::Changes;
use crate::clock::{Clock, ClockDifference};
use crate::epoch::Epoch;
use crate::evidence::{Evidence, EvidenceError};
use crate::federation::{Federation, FederationParts};
use crate::iam::{Accounts, FailedLogins, Sessions};
use crate::identity::Identity;
use crate::ledger_heads::CountedStart;
use crate::lifecycle::{Lifecycle, LifecycleParts};
use crate::membership::{Membership, MembershipParts};
use crate::negotiation::{Grants, NegotiationParts, Negotiations};
use crate::policies::{PolicyStore, PolicyStoreParts};
use crate::restorations::Restorations;
use crate::rules::{Rules, RulesParts};
use crate::sharing::{EngineConfig, Sharing, SharingParts};
use crate::shutdown::Shutdown;
use concordat_network::{DialRange, Limits, Multiaddr, Network, NetworkConfig, NetworkHandle};

/// How long services may take to finish running work.
const SERVICE_GRACE: Duration = Duration::from_secs(5);
/// How long the network may take to close its connections.
const NETWORK_GRACE: Duration = Duration::from_secs(2);
/// How often failed logins that are not in the ledger are reported in the log.
const FAILED_LOGINS_INTERVAL: Duration = Duration::from_secs(10);

/// A cloneable handle to the running node.
#[derive(Clone, Debug)]
pub struct Node(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    identity: Arc<Identity>,
    storage: Storage,
    ledger: Ledger,
    clock: Clock,
    epoch: Epoch,
    network: NetworkHandle,
    membership: Membership,
    rules: Rules,
    grants: Grants,
    negotiations: Negotiations,
    sharing: Sharing,
    federation: Federation,
    accounts: Accounts,
    sessions: Sessions,
    policies: PolicyStore,
    lifecycle: Lifecycle,
    evidence: Evidence,
    changes: Changes,
    clock_difference: Option<ClockDifference>,
}

/// What a node needs to start.
#[derive(Debug)]
pub struct StartConfig {
    /// Its identity.
    pub identity: Identity,
    /// Its unlocked storage.
    pub storage: Storage,
    /// Its ledger.
    pub ledger: Ledger,
    /// This start, counted in the storage.
    pub start: CountedStart,
    /// The clock.
    pub clock: Clock,
    /// Addresses to listen on.
    pub listen: Vec<Multiaddr>,
    /// Addresses to announce; if empty, those that it listens on.
    pub announce: Vec<Address>,
    /// Ranges of addresses at which members are dialed.
    pub dial: Vec<DialRange>,
    /// What peers may occupy at one time.
    pub limits: Limits,
    /// The Argon2 cost of passwords.
    pub password_cost: Argon2Cost,
    /// The program `concordat`, which is started as a process for each query, and the memory that all of these processes share.
    pub engine: EngineConfig,
    /// How often what a connected peer has not acknowledged is sent again, usually [`RETRY_INTERVAL`](crate::negotiation::RETRY_INTERVAL).
    pub retry_interval: Duration,
}

impl Node {
    /// Starts the node's parts in order and adds their stages to `shutdown`, so that they stop in reverse order. The API
    /// stages must have been added before.
    ///
    /// # Errors
    /// [`StartError`] with the part that does not start.
    pub async fn start(config: StartConfig, shutdown: &mut Shutdown) -> Result<Self, StartError> {
        let StartConfig {
            identity,
            storage,
            ledger,
            start,
            clock,
            listen,
            announce,
            dial,
            limits,
            password_cost,
            engine,
            retry_interval,
        } = config;
        let services = shutdown.stage("services", SERVICE_GRACE);
        let wire = shutdown.stage("network", NETWORK_GRACE);
        let identity = Arc::new(identity);
        let epoch = Epoch::default();

        let changes = Changes::open(storage.meta(), ledger.clone())?;
        let lifecycle = Lifecycle::open(LifecycleParts {
            identity: identity.clone(),
            storage: storage.clone(),
            ledger: ledger.clone(),
            changes: changes.clone(),
            clock: clock.clone(),
            epoch: epoch.clone(),
            erasing: Mutex::default(),
        })
        .await?;
        let evidence = Evidence::open(storage.meta(), ledger.clone()).map_err(EvidenceError::from)?;
        let clock_difference = compare_clock(&ledger, &clock).await?;
        close_last_run(&evidence, &clock).await?;
        let accounts = Accounts::open(storage.meta(), identity.institution.clone(), password_cost)?;
        let policies = PolicyStoreParts {
            identity: identity.clone(),
            meta: storage.meta().clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            epoch: epoch.clone(),
        };
        let policies = tokio::task::spawn_blocking(move || PolicyStore::open(policies)).await??;
        let policy = policies.live();
        let transport_key = NodeKey::from_seed(&identity.node_key.expose_seed());
        let network_config = NetworkConfig {
            limits,
            dial,
            ..NetworkConfig::new(transport_key, listen)
        };
        let network = Network::start(network_config, wire.token().clone(), wire.tasks()).await?;
        let hellos = network.accept(HELLO)?;
        let rosters = network.accept(ROSTER)?;
        let addresses = network.accept(ADDRESSES)?;

        let restorations = Restorations::open(storage.meta())?;
        let grants = Grants::open(identity.clone(), &storage, restorations.clone())?;
        let membership = Membership::open(MembershipParts {
            identity: identity.clone(),
            storage: storage.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            network: network.clone(),
            epoch: epoch.clone(),
            announced: announce,
            restorations: restorations.clone(),
            start,
        })
        .await?;
        membership.serve_hello(hellos, &services);
        membership.sync_roster(rosters, &services);
        membership.sync_addresses(addresses, &services);
        membership.watch_expiry(&services);
        let sessions = Sessions::new(accounts.clone()).ending_by(clock.clone());
        let negotiations = Negotiations::open(NegotiationParts {
            identity: identity.clone(),
            storage: storage.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            epoch: epoch.clone(),
            network: network.clone(),
            membership: membership.clone(),
            grants: grants.clone(),
            policy: policy.clone(),
            accounts: accounts.clone(),
            restorations,
            retry_interval,
        })?;
        negotiations.serve(&services)?;
        let rules = Rules::open(RulesParts {
            identity: identity.clone(),
            storage: storage.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            epoch: epoch.clone(),
            network: network.clone(),
            membership: membership.clone(),
            policy: policy.clone(),
        })?;
        rules.serve(&services)?;
        let sharing = Sharing::open(SharingParts {
            identity: identity.clone(),
            storage: storage.clone(),
            ledger: ledger.clone(),
            changes: changes.clone(),
            clock: clock.clone(),
            network: network.clone(),
            membership: membership.clone(),
            grants: grants.clone(),
            negotiations: negotiations.clone(),
            policy,
            sessions: sessions.clone(),
            epoch: epoch.clone(),
            evidence: evidence.clone(),
            engine,
            stage: services.clone(),
        })?;
        sharing.serve(&services)?;
        let federation = Federation::new(FederationParts {
            identity: identity.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            network: network.clone(),
            membership: membership.clone(),
            grants: grants.clone(),
            sharing: sharing.clone(),
            evidence: evidence.clone(),
            stopping: shutdown.begun().clone(),
        });
        federation.serve(&services);
        lifecycle.serve(&services);
        services.spawn(follow(accounts.changes(), epoch.clone(), services.token().clone()));
        services.spawn(report_failed_logins(
            sessions.failures().clone(),
            clock.clone(),
            services.token().clone(),
        ));
        services.spawn(cut_on_damage(
            ledger.verification(),
            epoch.clone(),
            services.token().clone(),
        ));

        Ok(Self(Arc::new(Parts {
            identity,
            storage,
            ledger,
            clock,
            epoch,
            network,
            membership,
            rules,
            grants,
            negotiations,
            sharing,
            federation,
            accounts,
            sessions,
            policies,
            lifecycle,
            evidence,
            changes,
            clock_difference,
        })))
    }

    /// The identity of this node.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0.identity
    }

    /// The storage: state and datasets.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Counts the changes on which running answers depend.
    pub fn epoch(&self) -> &Epoch {
        &self.0.epoch
    }

    /// The peer-to-peer network.
    pub fn network(&self) -> &NetworkHandle {
        &self.0.network
    }

    /// The consortium.
    pub fn membership(&self) -> &Membership {
        &self.0.membership
    }

    /// What this node and its peers announce that they enforce below tier `records`.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// The grants this node is a party to.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// The negotiations this node is a party to.
    pub fn negotiations(&self) -> &Negotiations {
        &self.0.negotiations
    }

    /// The service that answers queries of other nodes.
    pub fn sharing(&self) -> &Sharing {
        &self.0.sharing
    }

    /// The client that sends queries to other nodes.
    pub fn federation(&self) -> &Federation {
        &self.0.federation
    }

    /// People's accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// People's sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The lifecycle of keys and datasets.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }

    /// Changes of the state that are written to the ledger first.
    pub fn changes(&self) -> &Changes {
        &self.0.changes
    }

    /// The stored evidence of queries.
    pub fn evidence(&self) -> &Evidence {
        &self.0.evidence
    }

    /// How far the clock was from the newest entry of the ledger at the start, if that was more than a day.
    pub fn clock_difference(&self) -> Option<ClockDifference> {
        self.0.clock_difference
    }

    /// The policy sets.
    pub fn policies(&self) -> &PolicyStore {
        &self.0.policies
    }
}

/// Compares the clock with the newest entry of the last run.
async fn compare_clock(ledger: &Ledger, clock: &Clock) -> Result<Option<ClockDifference>, EvidenceError> {
    let ledger = ledger.clone();
    let now = clock.now();
    let found = tokio::task::spawn_blocking(move || ClockDifference::at_start(&ledger, now)).await??;
    if let Some(difference) = &found {
        tracing::warn!("{difference}");
    }
    Ok(found)
}

/// Records in the ledger that queries which the last stop interrupted have ended, before any query is sent or answered.
async fn close_last_run(evidence: &Evidence, clock: &Clock) -> Result<(), EvidenceError> {
    let evidence = evidence.clone();
    let now = clock.now();
    let closed = tokio::task::spawn_blocking(move || evidence.recover(now)).await??;
    if closed > 0 {
        tracing::warn!(closed, "queries that the last stop interrupted were recorded as ended");
    }
    Ok(())
}

/// If damage is found in the ledger while the node runs, running answers end: each is evaluated again, and decisions can no longer be
/// recorded.
async fn cut_on_damage(mut found: watch::Receiver<Verification>, epoch: Epoch, stop: CancellationToken) {
    let failed = found.wait_for(|state| matches!(state, Verification::Failed { .. }));
    if let Some(Ok(_)) = stop.run_until_cancelled(failed).await {
        epoch.raise();
    }
}

/// Raises the epoch when an account changes, because running answers depend on accounts.
async fn follow(mut changes: watch::Receiver<u64>, epoch: Epoch, stop: CancellationToken) {
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        epoch.raise();
    }
}

/// Logs how many failed logins were not entered in the ledger when their minute is over, and the remaining ones at the stop.
async fn report_failed_logins(failures: FailedLogins, clock: Clock, stop: CancellationToken) {
    let wait = || tokio::time::sleep(FAILED_LOGINS_INTERVAL);
    while stop.run_until_cancelled(wait()).await.is_some() {
        failures.report_ended(Some(clock.now()));
    }
    failures.report_ended(None);
}
