//! The parts of the network behavior, and the swarm they run in.

use std::{num::NonZeroU8, sync::Arc};

use libp2p::{Swarm, identify, identity::Keypair, ping, swarm, swarm::NetworkBehaviour};

use crate::{
    config::NetworkConfig,
    dial::Dialing,
    error::NetworkError,
    gate::Gate,
    reset::Resets,
    session::Sessions,
    source::Unfinished,
    streams::{Acceptors, Streams},
    transport::transport,
};

/// The protocols of every connection. The order matters: the gate decides first, the streams come last.
#[derive(NetworkBehaviour)]
pub(crate) struct Behavior {
    pub(crate) gate: Gate,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) streams: Streams,
}

/// Addresses are tried one after the other in the order of the roster, so that a member's preference between TCP and QUIC is respected.
const CONCURRENT_DIALS: NonZeroU8 = NonZeroU8::MIN;

/// Builds a swarm that supports TCP with Noise and Yamux, and QUIC, with a closed gate and no listeners.
pub(crate) fn swarm(
    config: &NetworkConfig,
    dialing: &Dialing,
    sessions: Arc<Sessions>,
    acceptors: Arc<Acceptors>,
    resets: Resets,
) -> Result<Swarm<Behavior>, NetworkError> {
    let mut seed = config.key.expose_seed();
    let keypair = Keypair::ed25519_from_bytes(&mut *seed).map_err(NetworkError::Key)?;
    let unfinished = Unfinished::new(config.limits.clone());
    let behavior = Behavior {
        gate: Gate::new(config.limits.clone(), unfinished.clone()),
        identify: identify::Behaviour::new(identify_config(&keypair)),
        ping: ping::Behaviour::default(),
        streams: Streams::new(sessions, acceptors, config.keep_connected),
    };
    let timeouts = &config.timeouts;
    let transport = transport(&keypair, timeouts, unfinished, dialing.clone(), resets)?;
    let settings = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(timeouts.idle)
        .with_dial_concurrency_factor(CONCURRENT_DIALS);
    Ok(Swarm::new(transport, behavior, keypair.public().to_peer_id(), settings))
}

/// Reveals as little as identify permits: discovered peers are not cached and listen addresses are hidden.
fn identify_config(keypair: &Keypair) -> identify::Config {
    identify::Config::new("/concordat/1".into(), keypair.public())
        .with_agent_version(concat!("concordat/", env!("CARGO_PKG_VERSION")).into())
        .with_cache_size(0)
        .with_hide_listen_addrs(true)
}
