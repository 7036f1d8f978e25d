//! Peak memory, as the kernel reports it.

use std::fs;

/// The peak memory of this process in MiB.
pub(crate) fn own_peak() -> f64 {
    peak(&status("self").unwrap())
}

/// The peak memory of all processes together that this one has started and that still run, in MiB: those that have computed, and one that
/// waits for a further query.
pub(crate) fn children_peak() -> f64 {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    // A process can end before it is read.
    let children = numbers.filter_map(|number| status(&number));
    let children = children.filter(|status| field(status, "PPid:") == Some(own.as_str()));
    children.map(|status| peak(&status)).sum()
}

fn status(process: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/status")).ok()
}

/// A process that is ending has no memory any more.
fn peak(status: &str) -> f64 {
    let kib: f64 = field(status, "VmHWM:").map_or(0.0, |kib| kib.parse().unwrap());
    kib / 1024.0
}

/// The first word of a line of a status.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}
