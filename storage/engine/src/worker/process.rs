//! The parent's end of one process.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{net::sockopt::set_socket_send_buffer_size, process::Pid};
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
};

use super::{ARGUMENT, child::NOT_ISOLATED, frames::Frames, isolation::NICE};
use crate::QueryError;

/// The nice value that each step adds; three steps from [`NICE`] reach the lowest priority.
const NICE_PER_STEP: i32 = 3;
/// Maximum number of steps by which the priority can be lowered.
pub(super) const MAX_PRIORITY_STEPS: u8 = 3;
/// Bytes that each end of a socket may buffer, if the system allows as many: about one frame of rows, so that neither end waits for the other
/// several times within a frame.
const SOCKET_BUFFER: usize = 1 << 20;
/// How long a process that has closed its socket may take to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// By how many steps the priority of a process is lowered while so many queries of the same party are already running.
pub(super) fn steps_of(running: usize) -> u8 {
    u8::try_from(running).unwrap_or(u8::MAX).min(MAX_PRIORITY_STEPS)
}

/// An engine process; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// By how many steps its priority was lowered.
    priority_steps: u8,
    pub(super) frames: Frames<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
}

impl Process {
    /// Starts `program` without the node's environment variables.
    ///
    /// # Errors
    /// Errors of the system.
    pub(super) fn start(program: &Path, memory: usize) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        for end in [&ours, &theirs] {
            // With a smaller buffer it is only slower.
            let _ = set_socket_send_buffer_size(end, SOCKET_BUFFER);
        }
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
            priority_steps: 0,
            frames: Frames::new(reader),
            writer,
        })
    }

    /// By how many steps its priority was lowered.
    pub(super) const fn priority_steps(&self) -> u8 {
        self.priority_steps
    }

    /// Lowers the priority to `priority_steps` steps in total. It cannot be raised again, because that needs a
    /// privilege.
    pub(super) fn lower_priority(&mut self, priority_steps: u8) {
        if priority_steps <= self.priority_steps {
            return;
        }
        self.priority_steps = priority_steps;
        let Some(process) = self.child.id() else { return };
        let nice = NICE.saturating_add(i32::from(priority_steps).saturating_mul(NICE_PER_STEP));
        // Each thread has its own priority; threads that are started later inherit it.
        let threads = std::fs::read_dir(format!("/proc/{process}/task"));
        let threads = threads.into_iter().flatten().flatten();
        for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            // A thread that has ended in the meantime is not an error.
            let _ = rustix::process::setpriority_process(Pid::from_raw(thread), nice);
        }
    }

    /// Whether it is still running.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The error of what it computed, after it has closed its socket.
    pub(super) async fn exit_error(&mut self) -> QueryError {
        let status = self.exit_status().await;
        let code = status.and_then(|status| status.code());
        let signal = status.and_then(|status| status.signal());
        tracing::warn!(?code, ?signal, "an engine process ended before its answer was complete");
        if code == Some(i32::from(NOT_ISOLATED)) {
            return QueryError::Engine {
                step: "isolating its process",
            };
        }
        QueryError::Ended
    }

    /// Its exit status, if it exits before the timeout.
    async fn exit_status(&mut self) -> Option<ExitStatus> {
        let ended = tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await;
        ended.ok().and_then(Result::ok)
    }
}
