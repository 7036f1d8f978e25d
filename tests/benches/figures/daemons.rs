//! Real daemons: their memory, as the kernel counts it, and how long they take to start.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use concordat_protocol::ids::DatasetName;
use concordat_protocol::time::Timestamp;
use concordat_storage::ingest::{Source, SubjectRule};
use concordat_storage::keys::KeyFile;
use concordat_storage::{catalog::ImportRequest, data_dir::Storage};
use concordat_tests::{House, Import, Person, World};
use tokio::time::Instant;

use crate::cohort::CLASSES;

/// Datasets of a house that has many.
pub(crate) const MANY: u64 = 10_000;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Resident memory in KiB.
pub(crate) struct Memory {
    /// A node that has just started, with a peer and a table, and does nothing.
    pub(crate) idle: u64,
    /// The most that the provider took while the whole table streamed.
    pub(crate) provider: u64,
    /// The most that the consumer took.
    pub(crate) consumer: u64,
}

/// Runs two institutions, streams the whole table from one to the other, and looks on.
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
    world.house("cleveland").as_(Person::Steward, &rows).ok();
    world.grant("budapest", "cleveland", "large", &["--tier", "records"]);
    for id in ["cleveland", "budapest"] {
        restart(world.house_mut(id));
    }
    for house in &world.houses {
        house.await_peers(1);
    }
    let idle = resident(world.house("cleveland"));

    let consumer = world.house("budapest");
    consumer.log_in(Person::Researcher);
    let out = world.place().join("answer.arrow");
    let out = out.to_str().expect("a path in UTF-8");
    let mut query = consumer.spawn(&["query", "SELECT * FROM cleveland.large", "--out", out]);
    let mut most = Memory {
        idle,
        provider: 0,
        consumer: 0,
    };
    while query.try_wait().unwrap().is_none() {
        most.provider = most.provider.max(resident(world.house("cleveland")));
        most.consumer = most.consumer.max(resident(consumer));
        sleep(LOOK);
    }
    let ended = query.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "the query fails: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    most
}

/// How long a daemon with [`MANY`] datasets takes from its start until it answers, and its resident memory in KiB then. At its first start it
/// enters them in the ledger; the second counts.
pub(crate) fn start() -> (Duration, u64) {
    let place = tempfile::tempdir().unwrap();
    let mut house = House::prepare("cleveland", "US", place.path().join("cleveland"));
    fill(&house.dir, &place.path().join("small.csv"));
    house.start();
    house.stop();
    let began = Instant::now();
    house.start();
    (began.elapsed(), resident(&house))
}

/// [`MANY`] datasets of ten rows each, put where the daemon will find them.
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

/// So that what an import once took is not counted.
fn restart(house: &mut House) {
    house.pin_ports();
    house.stop();
    house.start();
    house.forget_login();
}

fn resident(house: &House) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("the kernel counts memory");
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
