//! The parent's end of one process.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::Pid;
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
};

use super::{ARGUMENT, frames::Frames, isolation::NICE};

/// How much less each step counts for; three steps from [`NICE`] are the least that there is.
const STEP: i32 = 3;
/// Most steps that a process can give way.
pub(super) const MAX_STEPS: u8 = 3;
/// How long a process that has hung up may take to end.
const ENDING: Duration = Duration::from_secs(2);

/// A process of the engine; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// How far it has stepped back.
    steps: u8,
    pub(super) frames: Frames<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
}

impl Process {
    /// Starts `program`; it sees nothing of the node's environment.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(program: &Path, memory: usize) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(program)
            .arg0("concordat")
            .arg(ARGUMENT)
            .arg(memory.to_string())
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        Ok(Self {
            child,
            steps: 0,
            frames: Frames::new(reader),
            writer,
        })
    }

    /// How many steps it gives way to others of its kind.
    pub(super) const fn steps(&self) -> u8 {
        self.steps
    }

    /// Gives way by `steps` altogether; there is no way forward again, which takes a privilege.
    pub(super) fn step_back(&mut self, steps: u8) {
        if steps <= self.steps {
            return;
        }
        self.steps = steps;
        let Some(process) = self.child.id() else { return };
        let nice = NICE.saturating_add(i32::from(steps).saturating_mul(STEP));
        // Each thread has a priority of its own; those that it starts later take that of the first.
        let threads = std::fs::read_dir(format!("/proc/{process}/task"));
        let threads = threads.into_iter().flatten().flatten();
        for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            // One that has ended meanwhile needs no priority.
            let _ = rustix::process::setpriority_process(Pid::from_raw(thread), nice);
        }
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, if it has.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        let ended = tokio::time::timeout(ENDING, self.child.wait()).await;
        ended.ok().and_then(Result::ok)
    }
}
