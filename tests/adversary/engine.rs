//! Questions that are after the engine: its stack, its memory, its time.

use std::fs;
use std::time::Duration;

use concordat_node::fault::{Code, Explain};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::GrantId;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_tests::constructs::{CONSTRUCTS, Construct};
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::deal::{between_friends, change, granted};
use super::honest::World;
use super::questions::{Answer, ask, question};
use super::rogue::now;

/// Questions that are asked at the same time: as many as one institution may.
const AT_ONCE: usize = 6;
/// What a process of the engine may take beyond the limit of its query: its program and what its threads have of their stacks, in bytes.
const PROGRAM: u64 = 256 << 20;

/// Held alone by the test that kills the processes of this test process, and together by the others here.
static KILLING: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Minutes of work in one call of a function: each letter of a long text is looked for in a long list of letters.
fn endless() -> String {
    let (text, letters) = ("a".repeat(25_000), "b".repeat(25_000));
    format!("SELECT count(*) FROM heart WHERE btrim(concat('{text}', CAST(chol AS TEXT)), '{letters}a') = 'x'")
}

async fn ask_for(world: &World, grant: GrantId, sql: &str, seconds: i64) -> Result<Answer, Refusal> {
    let envelope = question(
        world,
        grant,
        |q| {
            q.sql = sql.to_owned();
            q.deadline = now().plus_seconds(seconds);
        },
        |a| a.expires = now().plus_seconds(seconds.max(60)),
    );
    ask(&world.rogue, &world.provider, envelope).await
}

/// A process of the engine that this test process has started.
struct Process {
    id: u32,
    status: String,
}

impl Process {
    fn all() -> Vec<Self> {
        let ours = format!("PPid:\t{}\n", std::process::id());
        let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            (command.contains("engine-worker") && status.contains(&ours)).then_some(Self { id, status })
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

    /// Whether it has computed for most of a second, which no query of another module's tests does.
    fn computes(&self) -> bool {
        const TICKS: u64 = 50;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        // User time is the twelfth field behind the name, in hundredths of a second.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = fields.split(' ').nth(11).and_then(|ticks| ticks.parse().ok());
        ticks.is_some_and(|ticks: u64| ticks > TICKS)
    }

    fn most_memory(&self) -> u64 {
        self.field("VmHWM:") * 1024
    }
}

/// Every answer or refusal is one; what the engine could not bear would be `Failed`.
fn is_in_order(sql: &str, answered: Result<Answer, Refusal>, world: &World) {
    let shown: String = sql.chars().take(200).collect();
    if let Err(refusal) = answered {
        assert!(
            matches!(refusal.code, RefusalCode::Invalid | RefusalCode::Denied),
            "{shown}: {refusal:?}"
        );
    }
    let most = u64::try_from(world.provider.node.sharing().bounds().process()).unwrap() + PROGRAM;
    for process in Process::all() {
        assert!(process.most_memory() < most, "{shown}: {} bytes", process.most_memory());
    }
}

async fn all_are_in_order(world: &World, grant: GrantId, all: Vec<String>) {
    stream::iter(&all)
        .for_each_concurrent(AT_ONCE, |sql| async move {
            let asked = Instant::now();
            let answered = ask_for(world, grant, sql, 60).await;
            assert!(asked.elapsed() < Duration::from_secs(62), "{sql}");
            is_in_order(sql, answered, world);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_construct_in_itself_as_deep_as_it_is_admitted_ends_in_an_answer_or_a_refusal() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    let grant = granted(&world).await;
    let nested = |construct: &Construct| {
        [2, 9, 30, 60].map(|depth| {
            let text = construct.nested(depth).replace("name", "CAST(chol AS TEXT)");
            format!("SELECT {text} AS x FROM heart WHERE ({text}) IS NOT NULL")
        })
    };
    all_are_in_order(&world, grant, CONSTRUCTS.iter().flat_map(nested).collect()).await;
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_construct_in_another_ends_in_an_answer_or_a_refusal() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    let grant = granted(&world).await;
    let all = CONSTRUCTS.iter().enumerate().map(|(at, construct)| {
        // Every construct meets another one; which, changes with its place.
        let other = &CONSTRUCTS[(at * 37 + 11) % CONSTRUCTS.len()];
        let text = construct
            .nested_in(other, 5 + at % 40)
            .replace("name", "CAST(chol AS TEXT)");
        format!("SELECT sex, count(*) FROM heart WHERE ({text}) IS NOT NULL GROUP BY sex ORDER BY sex")
    });
    all_are_in_order(&world, grant, all.collect()).await;
    world.still_stands().await;
}

/// What was found to stop a node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_questions_that_grow_are_refused_and_cost_nothing() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    let grant = granted(&world).await;
    let nest = |text: &str, depth| (0..depth).fold("age".to_owned(), |inner, _| text.replace("{}", &inner));
    let long = "x".repeat(60_000);
    let arms: String = (0..1200).map(|n| format!("WHEN age = {n} THEN false ")).collect();
    let doubled = (0..11).fold("age".to_owned(), |inner, _| format!("({inner} / {inner})"));
    let questions = [
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
    for sql in questions {
        let answered = ask_for(&world, grant, &sql, 60).await;
        is_in_order(&sql, answered, &world);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_whatever_an_expression_does_and_nobody_else_waits() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    let grant = granted(&world).await;
    let sql = endless();
    let asked = Instant::now();
    let endless = async {
        let refusal = ask_for(&world, grant, &sql, 8)
            .await
            .err()
            .expect("nobody can answer that in time");
        assert!(refusal.reasons[0].text.contains("longer than it may"), "{refusal:?}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    };
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ordinary = Instant::now();
        assert!(ask_for(&world, grant, "SELECT sex FROM heart", 60).await.is_ok());
        world.still_stands().await;
        assert!(ordinary.elapsed() < Duration::from_secs(6), "{:?}", ordinary.elapsed());
    };
    let ((), (), (), ()) = tokio::join!(
        async { drop(ask_for(&world, grant, &sql, 8).await) },
        async { drop(ask_for(&world, grant, &sql, 8).await) },
        endless,
        others,
    );
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_ends_whatever_an_expression_does() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    let grant = granted(&world).await;
    let sql = endless();
    let revoked = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        change(&world.provider, &grant, GrantEvent::Revoke).await;
        Instant::now()
    };
    let answered = async {
        let refusal = ask_for(&world, grant, &sql, 60).await.err().expect("it was revoked");
        (refusal, Instant::now())
    };
    let (revoked, (refusal, ended)) = tokio::join!(revoked, answered);
    assert_eq!(refusal.code, RefusalCode::Denied, "{refusal:?}");
    assert!(
        ended.saturating_duration_since(revoked) < Duration::from_secs(1),
        "{refusal:?}"
    );
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_process_of_the_engine_is_an_error_of_one_question() {
    let _killing = KILLING.write().await;
    let world = World::met().await;
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
            // One that only waited for a question may have gone by itself.
            let _ = std::process::Command::new("kill")
                .args(["-9", &id.to_string()])
                .status();
        }
    };
    let ((), answered) = tokio::join!(end, ask_for(&world, grant, &sql, 60));
    let refusal = answered.err().expect("its process is gone");
    assert_eq!(refusal.code, RefusalCode::Invalid);
    assert!(refusal.reasons[0].text.contains("more memory"), "{refusal:?}");
    assert!(ask_for(&world, grant, "SELECT sex FROM heart", 60).await.is_ok());
    world.still_stands().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_the_engine_can_call_little_and_has_no_privileges() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    let grant = granted(&world).await;
    assert!(ask_for(&world, grant, "SELECT sex FROM heart", 60).await.is_ok());
    let processes = Process::all();
    assert!(!processes.is_empty(), "one waits for the next question");
    for process in processes {
        let limits = fs::read_to_string(format!("/proc/{}/limits", process.id)).unwrap();
        let none = |what: &str| {
            limits
                .lines()
                .any(|line| line.starts_with(what) && line.split_whitespace().rev().nth(1) == Some("0"))
        };
        // A process that has just been started may not have come that far.
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
    world.still_stands().await;
}

/// A question that is put together at home: the same nested construct is planned and computed by the asker's own engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_construct_at_home_ends_in_an_answer_or_a_refusal_and_peers_are_served() {
    let _killing = KILLING.read().await;
    let world = World::met().await;
    between_friends(&world).await;
    let eva = world.friend.researcher().await;
    let (friend, eva) = (&world.friend, &eva);
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
            let asked = Instant::now();
            if let Err(fault) = friend.ask(eva, sql).await {
                let shown: String = sql.chars().take(200).collect();
                assert!(matches!(fault.code(), Code::Usage | Code::Denied), "{shown}: {fault:?}");
            }
            assert!(asked.elapsed() < Duration::from_secs(50), "{sql}");
        })
        .await;
    world.still_stands().await;
}
