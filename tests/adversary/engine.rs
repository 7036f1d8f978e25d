//! Queries that attack the engine: its stack, its memory, its time.

use std::fs;
use std::time::Duration;

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::GrantId;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_tests::constructs::{CONSTRUCTS, Construct};
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::malicious_peer::{now, rule};
use super::negotiation_fixture::{change, grant_between_members, granted};
use super::queries::{Answer, envelope, send_query};
use super::well_behaved::World;

/// Queries that run at the same time: as many as one institution may run.
const AT_ONCE: usize = 6;
/// The memory of an engine process beyond the limit of its query, in bytes: its program and the stacks of its threads.
const PROGRAM: u64 = 256 << 20;

/// Held exclusively by the test that kills engine processes of this test process, and shared by the others whose processes compute for long.
pub(super) static KILLING: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Minutes of work in one function call: each letter of a long text is searched in a long list of letters.
fn endless() -> String {
    let text = "a".repeat(25_000);
    let letters = "b".repeat(25_000);
    format!("SELECT count(*) FROM heart WHERE btrim(concat('{text}', CAST(chol AS TEXT)), '{letters}a') = 'x'")
}

async fn send_sql(world: &World, grant: GrantId, sql: &str, seconds: i64) -> Result<Answer, Refusal> {
    let envelope = envelope(
        world,
        grant,
        |q| {
            q.sql = sql.to_owned();
            q.deadline = now().plus_seconds(seconds);
        },
        |a| a.expires = now().plus_seconds(seconds.max(60)),
    );
    send_query(&world.attacker, &world.provider, envelope).await
}

/// An engine process that this test process has started.
struct Process {
    id: u32,
    status: String,
}

impl Process {
    fn all() -> Vec<Self> {
        let parent = format!("PPid:\t{}\n", std::process::id());
        let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            (command.contains("engine-worker") && status.contains(&parent)).then_some(Self { id, status })
        });
        found.collect()
    }

    fn field(&self, name: &str) -> u64 {
        let line = self
            .status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or("0");
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Whether it has used most of a second of CPU time, which no query of another module's tests does.
    fn computes(&self) -> bool {
        const TICKS: u64 = 50;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        // User time is the twelfth field after the name, in hundredths of a second.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = fields.split(' ').nth(11).and_then(|ticks| ticks.parse().ok());
        ticks.is_some_and(|ticks: u64| ticks > TICKS)
    }

    fn peak_memory(&self) -> u64 {
        self.field("VmHWM:") * 1024
    }
}

/// Every query ends in an answer or a refusal; one that the engine cannot handle would be `Failed`.
fn assert_answered_or_refused(sql: &str, answered: Result<Answer, Refusal>, world: &World) {
    let shown: String = sql.chars().take(200).collect();
    if let Err(refusal) = answered {
        assert!(
            matches!(refusal.code, RefusalCode::Invalid | RefusalCode::Denied),
            "{shown}: {refusal:?}"
        );
    }
    let most = u64::try_from(world.provider.node.sharing().bounds().process()).unwrap() + PROGRAM;
    for process in Process::all() {
        assert!(process.peak_memory() < most, "{shown}: {} bytes", process.peak_memory());
    }
}

async fn assert_all_answered_or_refused(world: &World, grant: GrantId, all: Vec<String>) {
    stream::iter(&all)
        .for_each_concurrent(AT_ONCE, |sql| async move {
            let sent = Instant::now();
            let answered = send_sql(world, grant, sql, 60).await;
            assert!(sent.elapsed() < Duration::from_secs(62), "{sql}");
            assert_answered_or_refused(sql, answered, world);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn construct_nested_in_itself_is_answered_or_refused() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    let nested = |construct: &Construct| {
        [2, 9, 30, 60].map(|depth| {
            let text = construct.nested(depth).replace("name", "CAST(chol AS TEXT)");
            format!("SELECT {text} AS x FROM heart WHERE ({text}) IS NOT NULL")
        })
    };
    assert_all_answered_or_refused(&world, grant, CONSTRUCTS.iter().flat_map(nested).collect()).await;
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn construct_nested_in_another_is_answered_or_refused() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    let all = CONSTRUCTS.iter().enumerate().map(|(at, construct)| {
        // Every construct is combined with another one, chosen by its position.
        let other = &CONSTRUCTS[(at * 37 + 11) % CONSTRUCTS.len()];
        let text = construct
            .nested_in(other, 5 + at % 40)
            .replace("name", "CAST(chol AS TEXT)");
        format!("SELECT sex, count(*) FROM heart WHERE ({text}) IS NOT NULL GROUP BY sex ORDER BY sex")
    });
    assert_all_answered_or_refused(&world, grant, all.collect()).await;
    world.assert_still_serving().await;
}

/// Queries that stopped a node in the past.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_that_expands_is_refused_at_no_cost() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    let nest = |text: &str, depth| (0..depth).fold("age".to_owned(), |inner, _| text.replace("{}", &inner));
    let long = "x".repeat(60_000);
    let arms: String = (0..1200).map(|n| format!("WHEN age = {n} THEN false ")).collect();
    let doubled = (0..11).fold("age".to_owned(), |inner, _| format!("({inner} / {inner})"));
    let queries = [
        format!("SELECT {} FROM heart", nest("nullif({}, 1)", 20)),
        format!("SELECT {} FROM heart", nest("({} + 0)", 30)),
        format!("SELECT {} FROM heart", nest("({} / 7)", 60)),
        format!("SELECT {} FROM heart", nest("(7 / {})", 60)),
        format!("SELECT {doubled} FROM heart"),
        format!("SELECT {} FROM heart", nest("coalesce({}, 1)", 60)),
        format!("SELECT {} FROM heart", nest("coalesce(coalesce({}, sex), 1)", 25)),
        format!(
            "SELECT age FROM heart WHERE {} = 1",
            nest("CASE WHEN {} BETWEEN 1 AND 3 THEN 1 ELSE 0 END", 30)
        ),
        format!("SELECT age FROM heart WHERE CASE {arms} ELSE true END"),
        format!("SELECT octet_length(concat(CAST(chol AS TEXT), '{long}')) FROM heart"),
        "SELECT age FROM heart WHERE CAST(chol AS TEXT) LIKE concat('%', CAST(age AS TEXT), '%')".to_owned(),
    ];
    let began = Instant::now();
    for sql in queries {
        let answered = send_sql(&world, grant, &sql, 60).await;
        assert_answered_or_refused(&sql, answered, &world);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadline_ends_any_expression_without_delaying_others() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    let sql = endless();
    let sent = Instant::now();
    let endless = async {
        let refusal = send_sql(&world, grant, &sql, 8)
            .await
            .err()
            .expect("it cannot be answered in time");
        assert_eq!(rule(&refusal), Some("time-a-query"), "{refusal:?}");
        assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
    };
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ordinary = Instant::now();
        assert!(send_sql(&world, grant, "SELECT sex FROM heart", 60).await.is_ok());
        world.assert_still_serving().await;
        assert!(ordinary.elapsed() < Duration::from_secs(6), "{:?}", ordinary.elapsed());
    };
    let ((), (), (), ()) = tokio::join!(
        async { drop(send_sql(&world, grant, &sql, 8).await) },
        async { drop(send_sql(&world, grant, &sql, 8).await) },
        endless,
        others,
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_ends_any_expression() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    let sql = endless();
    let revoked = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        change(&world.provider, &grant, GrantEvent::Revoke).await;
        Instant::now()
    };
    let answered = async {
        let refusal = send_sql(&world, grant, &sql, 60).await.err().expect("it was revoked");
        (refusal, Instant::now())
    };
    let (revoked, (refusal, ended)) = tokio::join!(revoked, answered);
    assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}");
    assert!(
        ended.saturating_duration_since(revoked) < Duration::from_secs(1),
        "{refusal:?}"
    );
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_process_that_is_killed_fails_one_query_only() {
    let _killing = KILLING.write().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    let sql = endless();
    let end = async {
        let process = loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let computing: Vec<_> = Process::all().into_iter().filter(Process::computes).collect();
            if !computing.is_empty() {
                break computing;
            }
        };
        for Process { id, .. } in process {
            // A process that only waited for a query may have exited by itself.
            let _ = std::process::Command::new("kill")
                .args(["-9", &id.to_string()])
                .status();
        }
    };
    let ((), answered) = tokio::join!(end, send_sql(&world, grant, &sql, 60));
    let refusal = answered.err().expect("its process was killed");
    assert_eq!(refusal.code, RefusalCode::Invalid);
    assert_eq!(rule(&refusal), Some("engine-limits"), "{refusal:?}");
    assert!(send_sql(&world, grant, "SELECT sex FROM heart", 60).await.is_ok());
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_process_has_few_system_calls_and_no_privileges() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    let grant = granted(&world).await;
    assert!(send_sql(&world, grant, "SELECT sex FROM heart", 60).await.is_ok());
    let processes = Process::all();
    assert!(!processes.is_empty(), "one process waits for the next query");
    for process in processes {
        let limits = fs::read_to_string(format!("/proc/{}/limits", process.id)).unwrap();
        let none = |what: &str| {
            limits
                .lines()
                .any(|line| line.starts_with(what) && line.split_whitespace().rev().nth(1) == Some("0"))
        };
        // A process that was just started may not have set this up yet.
        if process.field("Seccomp:") == 0 {
            continue;
        }
        assert_eq!((process.field("Seccomp:"), process.field("NoNewPrivs:")), (2, 1));
        assert!(none("Max file size") && none("Max core file size"), "{limits}");
        assert!(
            !limits
                .lines()
                .any(|line| line.starts_with("Max data size") && line.contains("unlimited")),
            "{limits}"
        );
    }
    world.assert_still_serving().await;
}

/// A query whose parts are combined locally: the same nested construct is planned and computed by the consumer's own engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn construct_queried_locally_is_answered_or_refused() {
    let _killing = KILLING.read().await;
    let world = World::connected().await;
    grant_between_members(&world).await;
    let eva = world.member.researcher().await;
    let member = &world.member;
    let eva = &eva;
    let nested = |(at, construct): (usize, &Construct)| {
        let text = construct.nested([6, 12, 40][at % 3]);
        let text = text
            .replace("age", "h.age")
            .replace("sex", "h.sex")
            .replace("name", "h.name");
        format!("SELECT {text} AS x FROM cleveland.heart h JOIN cleveland.heart i ON h.record_number = i.record_number")
    };
    let chain = vec!["1"; 20_000].join("+");
    let unions = vec!["SELECT sex FROM cleveland.heart"; 1000].join(" UNION ALL ");
    let tables: Vec<String> = (0..1000).map(|n| format!("cleveland.heart t{n}")).collect();
    let others = [
        format!("SELECT {chain} AS x FROM cleveland.heart h JOIN cleveland.heart i ON h.sex = i.sex"),
        unions,
        format!("SELECT count(*) FROM {}", tables.join(", ")),
        format!(
            "WITH a0 AS (SELECT h.sex FROM cleveland.heart h){} SELECT count(*) FROM a40",
            (0..40)
                .map(|n| format!(
                    ", a{} AS (SELECT x.sex FROM a{n} x JOIN a{n} y ON x.sex = y.sex)",
                    n + 1
                ))
                .collect::<String>()
        ),
    ];
    let all: Vec<String> = others
        .into_iter()
        .chain(CONSTRUCTS.iter().enumerate().map(nested))
        .collect();
    stream::iter(&all)
        .for_each_concurrent(3, |sql| async move {
            let sent = Instant::now();
            if let Err(error) = member.query(eva, sql).await {
                let shown: String = sql.chars().take(200).collect();
                assert!(
                    matches!(error.kind(), ErrorKind::Usage | ErrorKind::Denied),
                    "{shown}: {error:?}"
                );
            }
            assert!(sent.elapsed() < Duration::from_secs(50), "{sql}");
        })
        .await;
    world.assert_still_serving().await;
}
