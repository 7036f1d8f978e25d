//! Real daemons: their memory, as the kernel reports it, and how long they take to start.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use concordat_keys::KeyFile;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::time::Timestamp;
use concordat_storage::ingest::{Source, SubjectRule};
use concordat_storage::{catalog::ImportRequest, data_dir::Storage};
use concordat_tests::{Import, Person, TestNode, World};
use tokio::time::Instant;

use crate::cohort::CLASSES;

/// The number of datasets of a large node.
pub(crate) const MANY: u64 = 10_000;
/// How often memory is sampled.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Resident memory in KiB.
pub(crate) struct Memory {
    /// An idle node that has just started, with a peer and a table.
    pub(crate) idle: u64,
    /// The peak of the provider while the whole table streamed.
    pub(crate) provider: u64,
    /// The peak of the consumer.
    pub(crate) consumer: u64,
}

/// Runs two institutions, streams the whole table from one to the other, and samples memory.
pub(crate) fn memory(table: &Path) -> Memory {
    let mut world = World::consortium(2);
    let classes: Vec<String> = CLASSES
        .iter()
        .map(|(column, class)| format!("{column}={class}"))
        .collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let args = ["--subject-column", "record_number"];
    world.share(
        "cleveland",
        Import {
            dataset: "large",
            from: table,
            args: &args,
            classes: &classes,
        },
    );
    let rows = ["dataset", "limits", "large", "--max-rows", "1000000000"];
    world.node("cleveland").run_as(Person::Steward, &rows).ok();
    world.grant("budapest", "cleveland", "large", &["--tier", "records"]);
    for id in ["cleveland", "budapest"] {
        restart(world.node_mut(id));
    }
    for node in &world.nodes {
        node.await_peers(1);
    }
    let idle = resident(world.node("cleveland"));

    let consumer = world.node("budapest");
    consumer.log_in(Person::Researcher);
    let out = world.dir().join("answer.arrow");
    let out = out.to_str().expect("a path in UTF-8");
    let mut query = consumer.spawn(&["query", "SELECT * FROM cleveland.large", "--out", out]);
    let mut peak = Memory {
        idle,
        provider: 0,
        consumer: 0,
    };
    while query.try_wait().unwrap().is_none() {
        peak.provider = peak.provider.max(resident(world.node("cleveland")));
        peak.consumer = peak.consumer.max(resident(consumer));
        sleep(POLL_INTERVAL);
    }
    let ended = query.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "the query fails: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    peak
}

/// How long a daemon with [`MANY`] datasets takes from its start until it answers, and its resident memory in KiB then. Its first start
/// records the datasets in the ledger; the second start is measured.
pub(crate) fn start() -> (Duration, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::init("cleveland", "US", dir.path().join("cleveland"));
    fill(&node.dir, &dir.path().join("small.csv"));
    node.start();
    node.stop();
    let began = Instant::now();
    node.start();
    (began.elapsed(), resident(&node))
}

/// Imports [`MANY`] datasets of ten rows each into the data directory of the daemon.
fn fill(dir: &Path, file: &Path) {
    let rows: String = (0..10).map(|row| format!("{row},{},{}\n", row % 2, 40 + row)).collect();
    std::fs::write(file, format!("id,sex,age\n{rows}")).unwrap();
    let storage = Storage::open(dir, &KeyFile::new(dir.join("unlock.key"))).unwrap();
    let key = storage.identities().institution().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    for number in 0..MANY {
        let mut request = ImportRequest::new(
            DatasetName::new(&format!("small_{number}")).unwrap(),
            Source::at_path(file),
        );
        request.options.subject = SubjectRule::EachRow;
        storage
            .catalog()
            .import(&request, &key, Timestamp::from_millis(1_800_000_000_000), &mut |_| ())
            .unwrap();
    }
}

/// Restarts a daemon, so that memory used by an import is not counted.
fn restart(node: &mut TestNode) {
    node.pin_ports();
    node.stop();
    node.start();
    node.forget_login();
}

fn resident(node: &TestNode) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("the kernel reports memory");
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
