//! The parts of the network's behaviour, and the swarm they run in.

use std::{num::NonZeroU8, sync::Arc};

use libp2p::{Swarm, identify, identity::Keypair, ping, swarm, swarm::NetworkBehaviour, yamux};

use super::{
    config::NetworkConfig,
    dial::Dialing,
    error::NetworkError,
    gate::Gate,
    session::Sessions,
    source::Unfinished,
    streams::{Acceptors, Streams},
    transport::transport,
};

/// What runs on every connection. The order counts: the gate is asked first, the streams last.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) gate: Gate,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) streams: Streams,
}

/// Most streams in both directions on one connection, above which the multiplexer ends it. Each can hold 256 KiB.
pub(super) const MULTIPLEXED: usize = 256;

/// Tried one after the other in the order the roster states, so that a member's preference between TCP and QUIC holds.
const DIALS_AT_ONCE: NonZeroU8 = NonZeroU8::MIN;

/// Builds a swarm that speaks TCP with Noise and Yamux, and QUIC, with a closed gate and no listeners.
pub(super) fn swarm(
    config: &NetworkConfig,
    dialing: &Dialing,
    sessions: Arc<Sessions>,
    acceptors: Arc<Acceptors>,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let mut seed = config.key.expose_seed();
    let keypair = Keypair::ed25519_from_bytes(&mut *seed).map_err(NetworkError::Key)?;
    let unfinished = Unfinished::new(config.limits.clone());
    let behaviour = Behaviour {
        gate: Gate::new(config.limits.clone(), unfinished.clone()),
        identify: identify::Behaviour::new(identify_config(&keypair)),
        ping: ping::Behaviour::default(),
        streams: Streams::new(sessions, acceptors, config.keep_connected),
    };
    let timeouts = &config.timeouts;
    let transport = transport(&keypair, timeouts, unfinished, dialing.clone())?;
    let settings = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(timeouts.idle)
        .with_dial_concurrency_factor(DIALS_AT_ONCE);
    Ok(Swarm::new(
        transport,
        behaviour,
        keypair.public().to_peer_id(),
        settings,
    ))
}

/// Says as little as identify can say: no list of discovered peers is kept and no listen addresses are shown.
fn identify_config(keypair: &Keypair) -> identify::Config {
    identify::Config::new("/concordat/1".into(), keypair.public())
        .with_agent_version(concat!("concordat/", env!("CARGO_PKG_VERSION")).into())
        .with_cache_size(0)
        .with_hide_listen_addrs(true)
}

pub(super) fn multiplexer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MULTIPLEXED);
    config
}
