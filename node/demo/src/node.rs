//! One institution of the demonstration: a data directory, a daemon, and the commands its people type.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::refusal::Refusal;

/// How long a daemon may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two readiness checks.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(40);

/// An institution of the demonstration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) jurisdiction: &'static str,
    pub(crate) steward: &'static str,
    pub(crate) researcher: &'static str,
}

/// A running institution.
#[derive(Debug)]
pub(crate) struct DemoNode {
    pub(crate) profile: Profile,
    pub(crate) dir: PathBuf,
    program: PathBuf,
    daemon: Option<Child>,
}

impl DemoNode {
    /// Creates the data directory and starts the daemon.
    pub(crate) async fn init(profile: Profile, dir: PathBuf, password: &str) -> Result<Self> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let mut node = Self {
            profile,
            dir,
            program,
            daemon: None,
        };
        let identity = [
            "init",
            "--institution",
            profile.id,
            "--name",
            profile.name,
            "--jurisdiction",
            profile.jurisdiction,
        ];
        let local = [
            "--unattended",
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "--dial",
            "loopback",
        ];
        node.run(&[&identity[..], &local[..]].concat(), Some(password)).await?;
        node.start().await?;
        Ok(node)
    }

    async fn start(&mut self) -> Result<()> {
        let log = std::fs::File::create(self.dir.join("log").join("serve.log")).context("the log cannot be written")?;
        let child = Command::new(&self.program)
            .arg("--dir")
            .arg(&self.dir)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("the daemon cannot be started")?;
        self.daemon = Some(child);
        let ready = async {
            while self.run(&["status"], None).await.is_err() {
                if let Some(Ok(Some(status))) = self.daemon.as_mut().map(Child::try_wait) {
                    bail!(
                        "the daemon of {} ended with {status}; see {}",
                        self.profile.id,
                        self.dir.join("log/serve.log").display()
                    );
                }
                tokio::time::sleep(READY_POLL_INTERVAL).await;
            }
            Ok(())
        };
        tokio::time::timeout(READY_TIMEOUT, ready)
            .await
            .context("the daemon was not ready in time")?
    }

    /// Creates an account and records the person's training.
    ///
    /// The password that the administrator sets is valid for one login, in which the person sets their own.
    pub(crate) async fn create_user(&self, name: &str, role: &str, password: &str) -> Result<()> {
        let given = format!("for the first login of {name}");
        self.run(&["user", "add", name, "--role", role], Some(&given)).await?;
        self.run(
            &[
                "user",
                "training",
                name,
                "--course",
                "human-subjects-protection",
                "--until",
                "2099-12-31",
            ],
            None,
        )
        .await?;
        self.login(name, &given).await?;
        self.run(&["passwd"], Some(&format!("{given}\n{password}"))).await?;
        Ok(())
    }

    /// Logs `name` in; later commands are that person's.
    pub(crate) async fn login(&self, name: &str, password: &str) -> Result<()> {
        self.run(&["login", name], Some(password)).await.map(|_| ())
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) async fn run(&self, args: &[&str], input: Option<&str>) -> Result<String> {
        let output = self.attempt(args, input).await?;
        if !output.status.success() {
            bail!(
                "`concordat {}` at {} failed:\n{}",
                args.join(" "),
                self.profile.id,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command with `--format json` that must succeed and returns what it printed.
    pub(crate) async fn json<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let text = self.run(&[&["--format", "json"], args].concat(), None).await?;
        serde_json::from_str(&text)
            .with_context(|| format!("`concordat {}` did not print the expected JSON", args.join(" ")))
    }

    /// Runs a command that must be refused and returns what it printed.
    pub(crate) async fn refusal(&self, args: &[&str]) -> Result<Refusal> {
        let output = self.attempt(&[&["--format", "json"], args].concat(), None).await?;
        if output.status.success() {
            bail!(
                "`concordat {}` at {} should have been refused",
                args.join(" "),
                self.profile.id
            );
        }
        serde_json::from_slice(&output.stderr)
            .with_context(|| format!("`concordat {}` did not print an error object", args.join(" ")))
    }

    /// Starts a command and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> Result<Child> {
        let mut command = self.command(args);
        Ok(command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?)
    }

    async fn attempt(&self, args: &[&str], input: Option<&str>) -> Result<Output> {
        let mut command = self.command(args);
        command
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("the command cannot be started")?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(format!("{input}\n").as_bytes()).await?;
        }
        Ok(child.wait_with_output().await?)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--dir").arg(&self.dir).args(args);
        command
    }

    /// Stops the daemon with SIGTERM and waits until it has exited.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let Some(mut daemon) = self.daemon.take() else {
            return Ok(());
        };
        if let Some(id) = daemon.id().and_then(|id| i32::try_from(id).ok()) {
            kill(Pid::from_raw(id), Signal::SIGTERM).context("the daemon cannot be stopped")?;
        }
        daemon.wait().await?;
        Ok(())
    }

    /// Leaves the daemon running when this process ends.
    pub(crate) fn keep(mut self) -> PathBuf {
        if let Some(daemon) = self.daemon.take() {
            std::mem::forget(daemon);
        }
        self.dir.clone()
    }
}
