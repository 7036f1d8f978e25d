//! The start: listeners, the task that owns the swarm, and the handle to it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use libp2p::{Multiaddr, Swarm, swarm::SwarmEvent};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    behavior::{self, Behavior},
    config::NetworkConfig,
    dial::Dialing,
    error::NetworkError,
    handle::{NetworkHandle, Shared},
    members::node_id,
    port,
    redial::Redial,
    reset::Resets,
    session::Sessions,
    streams::Acceptors,
    task::Task,
};

/// Capacity of the message queue of the task. Every sender waits for an answer, so this is about the number of concurrent callers.
const QUEUE_CAPACITY: usize = 64;

/// How long to wait for listeners.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The network's starting point.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Binds the listeners and starts the network, whose task is one of `tasks` and ends when `stop` is canceled or the last handle is
    /// dropped. The gate is closed until members are set.
    ///
    /// # Errors
    /// If the key is unusable or an address cannot be listened on.
    pub async fn start(
        config: NetworkConfig,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<NetworkHandle, NetworkError> {
        let sessions = Arc::new(Sessions::new(&config.limits));
        let acceptors = Arc::new(Acceptors::new(config.limits.streams));
        let dialing = Dialing::new(config.dial.clone());
        let resets = Resets::default();
        let mut swarm = behavior::swarm(&config, &dialing, sessions.clone(), acceptors.clone(), resets.clone())?;
        let bound = tokio::time::timeout(LISTEN_TIMEOUT, listen(&mut swarm, &config.listen)).await;
        let addresses = bound.map_err(|_| NetworkError::ListenTimeout { after: LISTEN_TIMEOUT })??;
        let local = node_id(swarm.local_peer_id()).ok_or(NetworkError::Stopped)?;

        let (listening, watched) = watch::channel(addresses);
        let (outbox, inbox) = mpsc::channel(QUEUE_CAPACITY);
        let task = Task {
            swarm,
            inbox,
            sessions: sessions.clone(),
            listening,
            keep_connected: config.keep_connected,
            redial: Redial::new(config.backoff),
            local,
            members: Arc::default(),
            lookups: FuturesUnordered::new(),
            waiting: Default::default(),
            spans: Default::default(),
            connections: Default::default(),
            resets,
            introduction: config.timeouts.introduction,
        };
        tasks.spawn(task.run(stop));
        let timeouts = config.timeouts;
        Ok(NetworkHandle::new(Shared {
            local,
            outbox,
            sessions,
            acceptors,
            listening: watched,
            timeouts,
            dialing,
        }))
    }
}

/// Listens on `addresses` and waits until each has a socket.
async fn listen(swarm: &mut Swarm<Behavior>, addresses: &[Multiaddr]) -> Result<Vec<Multiaddr>, NetworkError> {
    // All of them before the first listener: an own one is not another program.
    for address in addresses {
        port::until_free(address).await?;
    }
    let mut pending = HashSet::new();
    for address in addresses {
        let listener = swarm.listen_on(address.clone());
        pending.insert(listener.map_err(|source| NetworkError::Listen {
            address: address.clone(),
            source,
        })?);
    }
    let mut bound = Vec::new();
    while !pending.is_empty() {
        if let SwarmEvent::NewListenAddr { listener_id, address } = swarm.select_next_some().await {
            pending.remove(&listener_id);
            bound.push(address);
        }
    }
    Ok(bound)
}
