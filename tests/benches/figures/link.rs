//! Plain bytes over libp2p, without any part of Concordat.

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::{SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use libp2p_stream::Behaviour;
use tokio::time::Instant;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/concordat/bench/1");
/// Bytes that are sent.
const BYTES: usize = 512 << 20;
/// Bytes in one write, as large as the chunks of an answer may be.
const WRITE: usize = 1 << 20;

/// Bytes per second over one stream: TCP, Noise, Yamux, the loopback interface.
pub(crate) async fn throughput() -> f64 {
    let mut here = swarm();
    let mut there = swarm();
    there.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = listening(&mut there).await;
    let peer = *there.local_peer_id();
    let mut sending = here.behaviour().new_control();
    let mut receiving = there.behaviour().new_control();
    let mut incoming = receiving.accept(PROTOCOL).unwrap();
    here.dial(DialOpts::peer_id(peer).addresses(vec![address]).build())
        .unwrap();
    let swarms = [tokio::spawn(drive(here)), tokio::spawn(drive(there))];

    let received = tokio::spawn(async move {
        let (_, mut stream) = incoming.next().await.unwrap();
        let mut buffer = vec![0; 256 << 10];
        let mut received = 0;
        while received < BYTES {
            received += stream.read(&mut buffer).await.unwrap();
        }
        Instant::now()
    });
    let mut stream = sending.open_stream(peer, PROTOCOL).await.unwrap();
    let bulk = vec![0x5a; WRITE];
    let began = Instant::now();
    for _ in 0..BYTES / WRITE {
        stream.write_all(&bulk).await.unwrap();
    }
    stream.flush().await.unwrap();
    let ended = received.await.unwrap();
    swarms.iter().for_each(tokio::task::JoinHandle::abort);
    BYTES as f64 / ended.duration_since(began).as_secs_f64()
}

fn swarm() -> Swarm<Behaviour> {
    let swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(
            tcp::Config::new().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| Behaviour::new())
        .unwrap();
    swarm
        .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::from_secs(600)))
        .build()
}

async fn listening(swarm: &mut Swarm<Behaviour>) -> Multiaddr {
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}

async fn drive(mut swarm: Swarm<Behaviour>) {
    loop {
        swarm.select_next_some().await;
    }
}
