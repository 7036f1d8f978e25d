//! `concordat serve`: the daemon from the first line to the last.

use std::time::Duration;

use concordat_protocol::{
    audit::{EntryBody, NodeTask},
    text::{Address, Word},
};
use concordat_storage::{keys::Argon2Cost, ledger::LedgerError};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, unlock};
use crate::{
    api::{self, Api},
    attribution::by_node,
    clock::Clock,
    config::Config,
    fault::{Code, Problem},
    identity::Identity,
    node::{Node, StartConfig},
    sharing::EngineConfig,
    shutdown::Shutdown,
    start_state::StartState,
    telemetry,
};

/// How long requests on the socket may take to finish.
const API_GRACE: Duration = Duration::from_secs(5);

/// The start, in the order in which each step needs the ones before it; the stop is the reverse.
pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    telemetry::start(&config.log, context.color);
    let clock = Clock::system();

    // 1. The storage is unlocked; 2. the newest part of the ledger is checked; 3. what the start depends on is compared
    // with what the sealed state knows, and the ledger takes a new entry.
    let storage = unlock::storage(&config, &context.dir).await?;
    let ledger = storage.open_ledger(config.node.institution.clone())?;
    ledger.check_checkpoint(&storage.identities().institution_keys()?)?;
    let bound = StartState::open(storage.meta())?;
    bound.settle(&ledger, clock.now())?;
    bound.check_configuration(&config)?;
    let started = EntryBody::NodeStarted {
        version: Word::fitted(env!("CARGO_PKG_VERSION")),
    };
    drop(
        ledger
            .append_async(started, &by_node(NodeTask::Start), clock.now())
            .await?,
    );

    // 4. People, policy, network and services; the API comes last and stops first.
    let mut shutdown = Shutdown::new();
    let door = shutdown.stage("api", API_GRACE);
    let identities = storage.identities();
    let identity = Identity::new(
        (config.node.institution, config.node.name, config.node.jurisdiction),
        identities.institution()?,
        identities.node()?,
    )
    .with_next_key(identities.next_institution()?);
    let unknown = |error| Problem::fault("the path of this program is not known", &error);
    let engine = EngineConfig::of_this_program().map_err(unknown)?;
    let start = StartConfig {
        identity,
        storage,
        ledger: ledger.clone(),
        clock: clock.clone(),
        listen: config.node.listen,
        announce: config
            .node
            .announce
            .iter()
            .map(|address| Address::fitted(&address.to_string()))
            .collect(),
        dial: config.node.dial,
        limits: config.limits.into(),
        password_cost: Argon2Cost::default(),
        engine: EngineConfig {
            memory: config.limits.memory_mib.saturating_mul(1 << 20),
            ..engine
        },
    };
    let node = Node::start(start, &mut shutdown).await?;
    api::serve(Api::new(node.clone(), config.import), &context.dir, &door)?;

    // 5. Who and where, then that it is ready to be asked; what a stop needs is in place before that is said.
    let stop = stop_signal()?;
    announce(&node, context)?;
    stop.await;

    tracing::info!("stopping");
    let late = shutdown.stop().await;
    match ledger.checkpoint(&node.identity().institution_key(), clock.now()) {
        Err(error @ (LedgerError::Verifying { .. } | LedgerError::Unverified { .. })) => {
            tracing::warn!(%error, "no checkpoint is signed at this stop");
        }
        signed => drop(signed?),
    }
    if late.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(
            Code::Fault,
            format!("these parts did not stop in time: {}", late.join(", ")),
        ))
    }
}

fn announce(node: &Node, context: &Context) -> Result<(), Problem> {
    let identity = node.identity();
    let listen: Vec<String> = node.network().listen_addrs().iter().map(ToString::to_string).collect();
    let who = format!("{} ({}), node {}", identity.name, identity.institution, identity.node());
    context.out.text(&format!("{who}, listens on {}\n", listen.join(" ")))?;
    context.out.text("the node is running\n")?;
    tracing::info!(institution = %identity.institution, node = %identity.node(), ?listen, "running");
    Ok(())
}

/// Ends with SIGINT or SIGTERM; from here on they no longer kill the process.
fn stop_signal() -> Result<impl Future<Output = ()>, Problem> {
    let unusable = |error| Problem::fault("cannot listen for signals", &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
