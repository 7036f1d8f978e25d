//! Calls and paths that the sources must not contain.

use super::{MEMBERS, Source, Violation, assert_none, shipped_sources, sources};

/// The longest a file may be before it is split (`docs/architecture.md`, code map).
const MAX_LINES: usize = 600;

/// Calls that read the system time.
const CLOCK_CALLS: &[&str] = &["SystemTime::now", "Utc::now", "Local::now", "Instant::now"];

/// The files or folders that may read the time, what of it, and why.
const CLOCK_READERS: &[(&str, &[&str], &str)] = &[
    (
        "node/src/clock.rs",
        CLOCK_CALLS,
        "the only code that reads the system time",
    ),
    (
        "node/network/src/",
        &["Instant::now"],
        "socket deadlines and redials, on tokio's timer, which tests can pause; clippy forbids the others",
    ),
];

/// Paths that reach outside the process. None of them may be used in the protocol crate.
const IO_PATHS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::io::stdin",
    "std::process",
    "std::env",
    "std::thread",
    "tokio::",
    "async fn",
];

/// Readers of rows that allocate memory before any check, and the call that removes the nesting limit of JSON.
const UNBOUNDED_READERS: &[&str] = &[
    "StreamDecoder",
    "StreamReader",
    "ipc::reader",
    "RecordBatchDecoder",
    "disable_recursion_limit",
];

/// The crate that reads rows from other processes, after the checks.
const CHECKED_READER: &str = "storage/arrow-stream/src/";

/// Calls with which the bytes of a key leave the crate of keys, or enter it.
const KEY_TRANSITS: &[&str] = &["to_transit(", "from_transit("];

/// The files that may make them: the keys of one answer are sent to the process that computes it.
const KEY_TRANSIT_FILES: &[&str] = &[
    "storage/keys/src/data.rs",
    "storage/engine/src/source.rs",
    "storage/engine/src/worker/messages.rs",
];

/// What computes cells, in a process that sees rows. Audit, noise and memory of answers are not there.
const COMPUTES_STATISTICS: &[&str] = &[
    "storage/engine/src/compute",
    "storage/engine/src/worker/cells.rs",
    "storage/engine/src/worker/statistics/child.rs",
    "storage/engine/src/worker/statistics/planned.rs",
    "storage/engine/src/worker/remote.rs",
];

/// What computes the rows of an answer from released cells, in a process that sees nothing else.
const COMPUTES_ABOVE: &[&str] = &[
    "storage/engine/src/decision/above.rs",
    "storage/engine/src/worker/statistics/above.rs",
];

/// How rows are reached in an engine process.
const REACHES_ROWS: &[&str] = &[
    "objects",
    "RemoteCollection",
    "CellsTask",
    "dyn Collection",
    "PendingReads",
];

fn path_is_mod_rs(source: &Source) -> Option<Violation> {
    let is_mod = source.path.ends_with("/mod.rs");
    is_mod.then(|| Violation::new(&source.path, "the root of a module is `foo.rs` next to `foo/`"))
}

fn file_is_too_long(source: &Source) -> Option<Violation> {
    let lines = source.text.lines().count();
    (lines > MAX_LINES).then(|| Violation::new(&source.path, format!("{lines} lines, more than {MAX_LINES}: split it")))
}

fn lines_with<'a>(source: &'a Source, needles: &'a [&str]) -> impl Iterator<Item = Violation> + 'a {
    source.production_lines().filter_map(|(number, line)| {
        let needle = needles.iter().find(|needle| line.contains(**needle))?;
        Some(Violation::new(
            format!("{}:{number}", source.path),
            format!("`{needle}`"),
        ))
    })
}

fn clock_calls(source: &Source) -> Vec<Violation> {
    let readers = CLOCK_READERS.iter().filter(|(path, ..)| source.path.starts_with(path));
    let allowed: Vec<&str> = readers.flat_map(|(_, calls, _)| calls.iter().copied()).collect();
    let forbidden: Vec<&str> = CLOCK_CALLS
        .iter()
        .copied()
        .filter(|call| !allowed.contains(call))
        .collect();
    lines_with(source, &forbidden).collect()
}

fn io_in_protocol(source: &Source) -> Vec<Violation> {
    let is_protocol = source.path.starts_with("protocol/src/");
    if is_protocol {
        lines_with(source, IO_PATHS).collect()
    } else {
        Vec::new()
    }
}

fn unbounded_readers(source: &Source) -> Vec<Violation> {
    if source.path.starts_with(CHECKED_READER) {
        Vec::new()
    } else {
        lines_with(source, UNBOUNDED_READERS).collect()
    }
}

fn key_transits(source: &Source) -> Vec<Violation> {
    if KEY_TRANSIT_FILES.contains(&source.path.as_str()) {
        Vec::new()
    } else {
        lines_with(source, KEY_TRANSITS).collect()
    }
}

/// Calls of constructors that are weak on purpose; their definitions are not calls.
fn weak_constructors(source: &Source) -> Vec<Violation> {
    lines_with(source, &["::dangerous_", ".dangerous_"]).collect()
}

fn permit_callers(sources: &[Source]) -> Vec<Violation> {
    sources
        .iter()
        .flat_map(|source| lines_with(source, &["Permit::new("]))
        .collect()
}

/// What computes statistics uses of the crate that decides what is released: sets of units.
fn decisions_beside_rows(source: &Source) -> Vec<Violation> {
    if !COMPUTES_STATISTICS.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let names = lines_with(source, &["concordat_disclosure"]);
    let sets = source
        .production_lines()
        .filter(|(_, line)| line.trim() == "use concordat_disclosure::UnitSet;")
        .map(|(number, _)| format!("{}:{number}", source.path));
    let sets: Vec<String> = sets.collect();
    names.filter(|name| !sets.contains(&name.location)).collect()
}

/// What computes from released cells names nothing by which rows are reached.
fn rows_beside_released_cells(source: &Source) -> Vec<Violation> {
    if COMPUTES_ABOVE.contains(&source.path.as_str()) {
        lines_with(source, REACHES_ROWS).collect()
    } else {
        Vec::new()
    }
}

fn callers_of(sources: &[Source], constructor: &'static str) -> Vec<Violation> {
    let needle = [constructor];
    let found = sources
        .iter()
        .map(|source| lines_with(source, &needle).collect::<Vec<_>>());
    found.flatten().collect()
}

fn planted(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn modules_are_named_files() {
    let all: Vec<Source> = MEMBERS.into_iter().flat_map(sources).collect();
    assert_none(&all.iter().filter_map(path_is_mod_rs).collect::<Vec<_>>());
    assert!(path_is_mod_rs(&planted("node/src/api/mod.rs", "")).is_some());
}

#[test]
fn files_stay_short_enough_to_read() {
    assert_none(
        &shipped_sources()
            .iter()
            .filter_map(file_is_too_long)
            .collect::<Vec<_>>(),
    );
    assert!(file_is_too_long(&planted("node/src/api.rs", &"\n".repeat(MAX_LINES + 1))).is_some());
}

#[test]
fn one_file_reads_the_clock() {
    assert_none(&shipped_sources().iter().flat_map(clock_calls).collect::<Vec<_>>());
    let violation = "fn f() {\n    let t = Instant::now();\n}\n";
    assert_eq!(
        clock_calls(&planted("node/src/api.rs", violation)),
        [Violation::new("node/src/api.rs:2", "`Instant::now`")]
    );
    assert!(clock_calls(&planted("node/src/clock.rs", violation)).is_empty());
    assert!(clock_calls(&planted("node/network/src/framed.rs", violation)).is_empty());
    assert_eq!(
        clock_calls(&planted("node/network/src/framed.rs", "SystemTime::now()")).len(),
        1
    );
}

#[test]
fn protocol_does_no_io() {
    assert_none(&shipped_sources().iter().flat_map(io_in_protocol).collect::<Vec<_>>());
    let violation = planted("protocol/src/ids.rs", "use std::fs::File;\n");
    assert_eq!(
        io_in_protocol(&violation),
        [Violation::new("protocol/src/ids.rs:1", "`std::fs`")]
    );
}

#[test]
fn peer_input_is_read_in_one_checked_module() {
    assert_none(&shipped_sources().iter().flat_map(unbounded_readers).collect::<Vec<_>>());
    let violation = "use arrow::ipc::reader::StreamDecoder;\n";
    assert_eq!(
        unbounded_readers(&planted("node/cli/src/answer.rs", violation)).len(),
        1
    );
    assert!(unbounded_readers(&planted("storage/arrow-stream/src/reader.rs", violation)).is_empty());
}

#[test]
fn keys_leave_their_crate_for_the_engine_process_only() {
    assert_none(&shipped_sources().iter().flat_map(key_transits).collect::<Vec<_>>());
    let violation = "let bytes = key.to_transit();\n";
    assert_eq!(
        key_transits(&planted("storage/src/catalog/read.rs", violation)),
        [Violation::new("storage/src/catalog/read.rs:1", "`to_transit(`")]
    );
    assert!(key_transits(&planted("storage/keys/src/data.rs", violation)).is_empty());
}

#[test]
fn weak_keys_and_costs_are_made_in_tests_only() {
    assert_none(&shipped_sources().iter().flat_map(weak_constructors).collect::<Vec<_>>());
    let violation = planted(
        "node/src/init.rs",
        "let key = DatasetKey::dangerous_of_vector(bytes);\n",
    );
    assert_eq!(
        weak_constructors(&violation),
        [Violation::new("node/src/init.rs:1", "`::dangerous_`")]
    );
    let definition = planted(
        "storage/keys/src/data.rs",
        "pub fn dangerous_of_vector(bytes: [u8; 32]) -> Self {\n",
    );
    assert!(weak_constructors(&definition).is_empty());
}

/// Cedar decides in node and the permit opens the engine; the types cannot enforce this one link, so its uses are counted.
#[test]
fn permit_has_a_single_constructor() {
    let callers = permit_callers(&shipped_sources());
    let elsewhere: Vec<&Violation> = callers
        .iter()
        .filter(|caller| !caller.location.starts_with("node/src/"))
        .collect();
    assert!(
        elsewhere.is_empty(),
        "only node may create a permit from a decision: {elsewhere:?}"
    );
    assert!(callers.len() <= 1, "`Permit::new` must have one caller: {callers:?}");

    let violation = [
        planted("node/src/a.rs", "Permit::new(scope, receipt)\n"),
        planted("node/src/b.rs", "Permit::new(scope, receipt)\n"),
    ];
    assert_eq!(permit_callers(&violation).len(), 2);
}

#[test]
fn rules_of_disclosure_have_a_single_constructor() {
    let all: Vec<Source> = shipped_sources();
    for constructor in ["DisclosureRules::new(", "CellSecret::new("] {
        let callers = callers_of(&all, constructor);
        assert_eq!(callers.len(), 1, "{constructor}: {callers:?}");
    }
}

#[test]
fn released_cells_are_computed_without_rows() {
    let all: Vec<Source> = shipped_sources();
    assert_none(&all.iter().flat_map(rows_beside_released_cells).collect::<Vec<_>>());
    for path in COMPUTES_ABOVE {
        assert!(all.iter().any(|source| source.path == *path), "{path}");
        assert_eq!(
            rows_beside_released_cells(&planted(path, "use super::remote::RemoteCollection;\n")).len(),
            1
        );
    }
}

#[test]
fn cells_are_computed_without_the_audit() {
    let all: Vec<Source> = shipped_sources();
    assert_none(&all.iter().flat_map(decisions_beside_rows).collect::<Vec<_>>());
    let path = "storage/engine/src/compute/report.rs";
    assert!(decisions_beside_rows(&planted(path, "use concordat_disclosure::UnitSet;\n")).is_empty());
    for text in [
        "use concordat_disclosure::{Space, UnitSet};\n",
        "    concordat_disclosure::Loss::new()\n",
    ] {
        assert_eq!(decisions_beside_rows(&planted(path, text)).len(), 1, "{text}");
    }
}
