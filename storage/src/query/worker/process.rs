//! The parent's end of one process.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
};

use super::{ARGUMENT, frames::Frames};

/// How long a process that has hung up may take to end.
const ENDING: Duration = Duration::from_secs(2);

/// A process of the engine; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
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
            frames: Frames::new(reader),
            writer,
        })
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
