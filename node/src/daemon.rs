//! The daemon, from start to stop.

use std::path::Path;
use std::time::Duration;

use concordat_documents::problem::Problem;
use concordat_keys::Argon2Cost;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::{
    audit::{EntryBody, NodeTask},
    text::{Address, Label},
};
use concordat_storage::{data_dir::Storage, ledger::LedgerError};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    api::{self, Api},
    attribution::by_node,
    clock::Clock,
    config::Config,
    descriptors::Descriptors,
    identity::Identity,
    ledger_heads::CountedStart,
    negotiation::RETRY_INTERVAL,
    node::{Node, StartConfig},
    sharing::EngineConfig,
    shutdown::Shutdown,
    start_state::StartState,
};

/// How long requests on the socket may take to finish.
const API_GRACE: Duration = Duration::from_secs(5);

/// Starts the daemon on an unlocked storage in the order of dependencies, calls `announce` once it is running, and stops it in the
/// reverse order after SIGINT or SIGTERM.
///
/// # Errors
/// What the start depends on and does not find, or the parts that did not stop in time.
pub async fn run_daemon(
    config: Config,
    storage: Storage,
    dir: &Path,
    announce: impl FnOnce(&Node) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let clock = Clock::system();
    let descriptors = Descriptors::raise();

    // 1. Check the newest part of the ledger. 2. Compare what the start depends on with the sealed state, count the start, and append
    // an entry to the ledger.
    let ledger = storage.open_ledger(config.node.institution.clone())?;
    ledger.check_checkpoint(&storage.identities().institution_keys()?)?;
    let bound = StartState::open(storage.meta())?;
    bound.reconcile(&ledger, clock.now())?;
    bound.check_configuration(&config)?;
    let counted = CountedStart::count(storage.meta());
    let counted = counted.map_err(|error| Problem::internal("the start cannot be counted", &error))?;
    let started = EntryBody::NodeStarted {
        version: Label::sanitized(env!("CARGO_PKG_VERSION")),
        start: Some(counted.start()),
    };
    drop(
        ledger
            .append_async(started, &by_node(NodeTask::Start), clock.now())
            .await?,
    );

    // 3. Start accounts, policy, network and services; the API starts last and stops first.
    let mut shutdown = Shutdown::new();
    let api_stage = shutdown.stage("api", API_GRACE);
    let identities = storage.identities();
    let identity = Identity::new(
        (config.node.institution, config.node.name, config.node.jurisdiction),
        identities.institution()?,
        identities.node()?,
    )
    .with_next_key(identities.next_institution()?);
    let unknown = |error| Problem::internal("the path of this program is not known", &error);
    let engine = EngineConfig::of_this_program().map_err(unknown)?;
    let start = StartConfig {
        identity,
        storage,
        ledger: ledger.clone(),
        start: counted,
        clock: clock.clone(),
        listen: config.node.listen,
        announce: config
            .node
            .announce
            .iter()
            .map(|address| Address::sanitized(&address.to_string()))
            .collect(),
        dial: config.node.dial,
        limits: descriptors.network(&config.limits.into()),
        password_cost: Argon2Cost::default(),
        engine: EngineConfig {
            memory: config.limits.memory_mib.saturating_mul(1 << 20),
            ..engine
        },
        retry_interval: RETRY_INTERVAL,
    };
    let node = Node::start(start, &mut shutdown).await?;
    let api = Api::new(node.clone(), config.import).with_connections(descriptors.api_connections());
    api::serve(api, dir, &api_stage)?;

    // 4. Announce that the node is running; the signal handlers are installed before that.
    let stop = stop_signal()?;
    announce(&node)?;
    stop.await;

    tracing::info!("stopping");
    let late = shutdown.stop().await;
    match ledger.checkpoint(&node.identity().institution_key(), clock.now()) {
        Err(error @ (LedgerError::Verifying { .. } | LedgerError::Unverified { .. })) => {
            tracing::warn!(%error, "no checkpoint is signed at shutdown");
        }
        signed => drop(signed?),
    }
    if late.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(
            ErrorKind::Internal,
            format!("these parts did not stop in time: {}", late.join(", ")),
        ))
    }
}

/// Completes on SIGINT or SIGTERM; from here on they no longer kill the process.
fn stop_signal() -> Result<impl Future<Output = ()>, Problem> {
    let unusable = |error| Problem::internal("cannot listen for signals", &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
