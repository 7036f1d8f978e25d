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

fn permit_callers(sources: &[Source]) -> Vec<Violation> {
    sources
        .iter()
        .flat_map(|source| lines_with(source, &["Permit::new("]))
        .collect()
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

/// Cedar decides in node and the permit opens the engine in storage; the types cannot enforce this one link, so its uses are counted.
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
