//! All kinds of attacks at once, in a loop, while a third member is served.
//!
//! Two members, one of which holds a grant, and many non-members attack a provider for `CONCORDAT_ATTACK_SECONDS`; they
//! run at the lowest priority, so that the test measures the work that they cause. Meanwhile another member sends one query after
//! another. An abort of either node ends this process. `.ci/attack` runs it; `CONCORDAT_ATTACK_ONLY` selects one kind of attack.

use concordat_protocol::wire::streams::{ALL, HELLO, QUERY, ROSTER, StreamName};
use std::num::NonZeroU32;
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use concordat_node::Actor;
use concordat_protocol::ids::{DatasetName, GrantId};
use concordat_protocol::membership::Roster;
use concordat_protocol::release::{ReleaseChange, TierLimits};
use concordat_protocol::wire::messages::{QueryFrame, RosterMessage};
use concordat_tests::make_change;
use libp2p::multiaddr::Protocol;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::malicious_peer::{MaliciousPeer, cosign, now};
use super::negotiation_fixture::{grant_between_members, granted};
use super::queries::{envelope, send_query};
use super::well_behaved::World;

/// The default duration of the attack in seconds.
const SECONDS: u64 = 20;
/// Non-members that attack, each with its own key.
const NON_MEMBERS: u32 = 1000;
/// The least part of the third member's throughput that must remain.
const MIN_THROUGHPUT: f64 = 0.7;
/// Memory may grow by this part between the first third of the attack and its end, and by [`SLACK`].
const GROWTH: f64 = 1.1;
const SLACK: u64 = 32 << 20;
/// How long the attackers run before they pause.
const ROUND: Duration = Duration::from_secs(20);
/// How long attacks that have begun continue after a pause starts.
const DRAIN_INTERVAL: Duration = Duration::from_secs(3);
/// The time limit of one attack.
const ATTACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements that cost their reader more than their sender.
const COSTLY: [fn() -> String; 8] = [
    || format!("SELECT {}sex{} FROM heart", "nullif(".repeat(20), ", 1)".repeat(20)),
    || format!("SELECT {}sex{} FROM heart", "(".repeat(30), " + 0)".repeat(30)),
    || format!("SELECT {}sex{} FROM heart", "(".repeat(40), " / sex)".repeat(40)),
    || format!("SELECT {}sex{} FROM heart", "coalesce(".repeat(30), ", sex)".repeat(30)),
    || format!("SELECT octet_length(concat(sex, '{}')) FROM heart", "x".repeat(60_000)),
    || {
        "SELECT count(*) FROM heart WHERE 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' LIKE concat('%a%a%a%a%a', sex)".to_owned()
    },
    || format!("SELECT sex FROM heart WHERE {}", vec!["sex = 1"; 6000].join(" OR ")),
    || "SELECT sex, chol FROM heart ORDER BY chol, sex, chol + sex, chol * sex".to_owned(),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it runs for minutes: `.ci/attack`"]
async fn node_under_attack_serves_a_third_member() {
    if let Some(program) = std::env::var_os("CONCORDAT_PROGRAM") {
        concordat_tests::program::choose(program.as_ref());
    }
    if std::env::var_os("CONCORDAT_LOG").is_some() {
        concordat_node::start_quiet(false);
    }
    let whole = Duration::from_secs(setting("CONCORDAT_ATTACK_SECONDS", SECONDS));
    let world = Arc::new(World::connected().await);
    unlimited(&world).await;
    let grant = granted(&world).await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;

    let second = Arc::new(MaliciousPeer::start("vienna", 5));
    world.admit(&second).await;
    second.meet(&world.provider).await;
    let mut attack = Attack::begin(&world, &second, grant);
    serve(&world, &eva, DRAIN_INTERVAL).await;

    // Quiet phases and attacks alternate, so that other load on the machine affects both.
    let mut quiet = Served::default();
    let mut attacked = Served::default();
    let mut memories = Vec::new();
    let rounds = u32::try_from(whole.as_secs() / ROUND.as_secs()).unwrap().max(3);
    for _ in 0..rounds {
        attack.resume();
        attacked += serve(&world, &eva, ROUND).await;
        memories.push(memory());
        attack.pause();
        serve(&world, &eva, DRAIN_INTERVAL).await;
        quiet += serve(&world, &eva, ROUND / 4).await;
    }
    let (made, kinds) = attack.end();

    let remaining = attacked.rate() / quiet.rate();
    let before = memories[memories.len() / 3];
    let after = *memories.last().unwrap();
    println!(
        "{made} attacks of {kinds} kinds in {} s; the third member: {:.1} queries a second when it was quiet, {:.1} under attack, {remaining:.2} \
         of it; memory {} MiB after a third, {} MiB at the end",
        (ROUND * rounds).as_secs(),
        quiet.rate(),
        attacked.rate(),
        before >> 20,
        after >> 20
    );
    assert!(
        remaining >= setting("CONCORDAT_ATTACK_MIN_THROUGHPUT", MIN_THROUGHPUT),
        "{remaining:.2} of the throughput remains"
    );
    assert!(
        after as f64 <= before as f64 * GROWTH + SLACK as f64,
        "{before} bytes became {after}"
    );
    world.assert_still_serving().await;
}

/// The setting from the environment, or the default.
fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Removes the daily query limit, so that no attack ends because of it.
async fn unlimited(world: &World) {
    let node = world.provider.node.clone();
    let limits = TierLimits {
        queries_per_day: NonZeroU32::new(u32::MAX),
        ..TierLimits::default()
    };
    let change = ReleaseChange {
        limits,
        ..ReleaseChange::default()
    };
    let work = move || {
        let datasets = node.storage().catalog().datasets();
        let heart = DatasetName::new("heart").unwrap();
        make_change(&node, datasets.plan_release(&heart, &change));
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

/// Queries that were answered, and in how many seconds.
#[derive(Default)]
struct Served {
    answered: u32,
    seconds: f64,
}

impl Served {
    fn rate(&self) -> f64 {
        f64::from(self.answered) / self.seconds
    }
}

impl AddAssign for Served {
    fn add_assign(&mut self, more: Self) {
        self.answered += more.answered;
        self.seconds += more.seconds;
    }
}

/// Sends queries for `time`.
async fn serve(world: &World, eva: &Actor, time: Duration) -> Served {
    let begun = Instant::now();
    let mut answered = 0_u32;
    while begun.elapsed() < time {
        let rows = world.member.query(eva, "SELECT sex, chol FROM cleveland.heart").await;
        rows.expect("a third member is served");
        answered += 1;
    }
    Served {
        answered,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// Memory of this process in bytes, of both nodes and of the attackers.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// The attackers, on their own threads.
struct Attack {
    runtime: Runtime,
    over: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    kinds: usize,
}

impl Attack {
    fn begin(world: &Arc<World>, second: &Arc<MaliciousPeer>, grant: GrantId) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(lowest_priority)
            .enable_all()
            .build()
            .unwrap();
        let mut attack = Self {
            runtime,
            over: Arc::default(),
            paused: Arc::new(AtomicBool::new(true)),
            made: Arc::default(),
            kinds: 0,
        };
        for sql in COSTLY {
            attack.repeat("costly query", world, move |world, _| async move {
                let query = envelope(&world, grant, |q| q.sql = sql(), |_| ());
                drop(send_query(&world.attacker, &world.provider, query).await);
            });
        }
        attack.repeat("unread answer", world, move |world, _| unread(world, grant));
        attack.repeat("replayed query", world, move |world, _| twice(world, grant));
        attack.repeat("forged query", world, move |world, _| forged(world, grant));
        for protocol in ALL.into_iter().filter(|protocol| *protocol != HELLO) {
            let by = Arc::clone(second);
            attack.repeat("garbage", world, move |world, number| {
                garbage(world, Arc::clone(&by), protocol, number)
            });
            attack.repeat("unfinished frame", world, move |world, _| unfinished(world, protocol));
        }
        attack.repeat("forged roster", world, roster);
        attack.repeat("silent sockets", world, |world, _| silent(world));
        attack.repeat("bytes that are not a handshake", world, |world, number| {
            noise(world, number)
        });
        attack.repeat("non-member", world, non_member);
        attack.repeat("bad hello", world, bad_hello);
        attack
    }

    /// Repeats one attack.
    fn repeat<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        kind: &'static str,
        world: &Arc<World>,
        one: impl Fn(Arc<World>, u32) -> F + Send + 'static,
    ) {
        if std::env::var("CONCORDAT_ATTACK_ONLY").is_ok_and(|only| only != kind) {
            return;
        }
        self.kinds += 1;
        let world = Arc::clone(world);
        let over = Arc::clone(&self.over);
        let made = Arc::clone(&self.made);
        let paused = Arc::clone(&self.paused);
        self.runtime.spawn(async move {
            for number in 0.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                if paused.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                // An attack that hangs has held a stream or a connection for long enough.
                let _ = tokio::time::timeout(ATTACK_TIMEOUT, one(Arc::clone(&world), number)).await;
                made.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    fn resume(&mut self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    fn pause(&mut self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// How many attacks were made, and of how many kinds.
    fn end(self) -> (u64, usize) {
        self.over.store(true, Ordering::Relaxed);
        self.runtime.shutdown_background();
        (self.made.load(Ordering::Relaxed), self.kinds)
    }
}

/// Yields to every other thread of the test.
fn lowest_priority() {
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let status = Command::new("renice")
        .args(["-n", "19", "-p"])
        .arg(thread.file_name().unwrap())
        .stdout(Stdio::null())
        .status()
        .expect("`renice`, of util-linux");
    assert!(status.success());
}

/// An answer that is not read.
async fn unread(world: Arc<World>, grant: GrantId) {
    let envelope = envelope(&world, grant, |_| (), |_| ());
    if let Ok(mut stream) = world.attacker.open(&world.provider, QUERY).await {
        let _ = stream.send(&QueryFrame { envelope }).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// A query that is sent twice.
async fn twice(world: Arc<World>, grant: GrantId) {
    let query = envelope(&world, grant, |_| (), |_| ());
    for _ in 0..2 {
        drop(send_query(&world.attacker, &world.provider, query.clone()).await);
    }
}

/// A query in another institution's name.
async fn forged(world: Arc<World>, grant: GrantId) {
    let query = envelope(&world, grant, |q| q.from = "budapest".parse().unwrap(), |_| ());
    drop(send_query(&world.attacker, &world.provider, query).await);
}

/// Bytes that are not a message.
async fn garbage(world: Arc<World>, by: Arc<MaliciousPeer>, protocol: StreamName, number: u32) {
    if let Ok(mut stream) = by.open(&world.provider, protocol).await {
        let byte = u8::try_from(number % 256).unwrap();
        let _ = stream.body(&vec![byte; 1 + number as usize % 5000]).await;
        stream.is_dropped().await;
    }
}

/// A frame that stops in the middle.
async fn unfinished(world: Arc<World>, protocol: StreamName) {
    if let Ok(mut stream) = world.attacker.open(&world.provider, protocol).await {
        let _ = stream.raw(&[0, 0, 1, 0, 0xa1]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// A roster that a member signed.
async fn roster(world: Arc<World>, number: u32) {
    let forged = Roster {
        number: 1000 + u64::from(number),
        issued_at: now(),
        ..world.provider.roster().peek_unverified().unwrap()
    };
    let forged = RosterMessage::Announce(cosign(&forged, &[&world.attacker.institution_key]));
    drop(
        world
            .attacker
            .request::<RosterMessage>(&world.provider, ROSTER, &forged)
            .await,
    );
}

/// The TCP address of the provider.
fn address(world: &World) -> (std::net::IpAddr, u16) {
    let all = world.provider.node.network().listen_addrs();
    let parts = |address: &libp2p::Multiaddr| {
        let mut parts = address.iter();
        match (parts.next(), parts.next()) {
            (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => Some((ip.into(), port)),
            _ => None,
        }
    };
    all.iter().find_map(parts).unwrap()
}

/// Sockets that send nothing.
async fn silent(world: Arc<World>) {
    let to = address(&world);
    let mut held = Vec::new();
    for _ in 0..64 {
        held.extend(TcpStream::connect(to).await.ok());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(held);
}

/// Bytes that are not a handshake.
async fn noise(world: Arc<World>, number: u32) {
    if let Ok(mut socket) = TcpStream::connect(address(&world)).await {
        let byte = u8::try_from(number % 256).unwrap();
        let _ = socket.write_all(&[byte; 700]).await;
    }
}

/// One of a thousand unknown nodes.
async fn non_member(world: Arc<World>, number: u32) {
    let non_member = MaliciousPeer::numbered("zagreb", number % NON_MEMBERS);
    drop(non_member.dial(&world.provider).await);
}

/// A hello in another institution's name.
async fn bad_hello(world: Arc<World>, number: u32) {
    let impostor = MaliciousPeer::numbered("zagreb", number % NON_MEMBERS);
    if impostor.dial(&world.provider).await.is_ok() {
        let hello = impostor.hello(&world.provider, |c| c.institution = "budapest".parse().unwrap(), |_| ());
        let answered =
            impostor.request::<concordat_protocol::wire::messages::HelloReply>(&world.provider, HELLO, &hello);
        drop(answered.await);
    }
}
