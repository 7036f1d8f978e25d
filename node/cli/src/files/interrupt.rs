//! The names of incomplete files, which are removed when a signal ends the process.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
};

static NAMES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static WATCHED: OnceLock<()> = OnceLock::new();

/// Exit code of a process that a signal ended: this and the number of the signal, as shells report it.
const SIGNALED: i32 = 128;

/// Removes the file at `path` if SIGINT or SIGTERM ends the process.
pub(super) fn remove_later(path: &Path) {
    names().insert(path.to_owned());
    if let Ok(runtime) = Handle::try_current() {
        WATCHED.get_or_init(|| watch(&runtime));
    }
}

/// The file at `path` is complete, or was removed.
pub(super) fn forget(path: &Path) {
    names().remove(path);
}

/// Waits on a thread of the runtime, because the thread that writes may be waiting for the disk.
fn watch(runtime: &Handle) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    for kind in kinds {
        if let Ok(signals) = signal(kind) {
            runtime.spawn(end_with(signals, kind));
        }
    }
}

async fn end_with(mut signals: Signal, kind: SignalKind) {
    if signals.recv().await.is_none() {
        return;
    }
    let names = names();
    for path in names.iter() {
        fs::remove_file(path).ok();
    }
    std::process::exit(SIGNALED.saturating_add(kind.as_raw_value()));
}

fn names() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}
