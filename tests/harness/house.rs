//! One institution: a data directory, a daemon, and the commands its people type.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::Duration;

use serde_json::Value;

use crate::outcome::Outcome;
use crate::program;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery staple";
/// How often something awaited is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Looks until something awaited counts as missing: a minute, which only a hang takes.
const LOOKS: usize = 3000;
/// The longest a command may take, in looks of [`LOOK`]: two minutes.
const COMMAND_LOOKS: usize = 6000;

/// Somebody who works at an institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// Runs the node.
    Administrator,
    /// Answers for the data.
    Steward,
    /// Asks.
    Researcher,
}

impl Person {
    /// The name of the account.
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Steward => "stella",
            Self::Researcher => "rufus",
        }
    }
}

/// A running institution. Its daemon ends with it.
#[derive(Debug)]
pub struct House {
    /// Its id in the consortium.
    pub id: &'static str,
    /// The data directory.
    pub dir: PathBuf,
    daemon: Option<Child>,
    /// Variables that the daemon starts with, beside those of the tests.
    surroundings: Vec<(String, String)>,
    at_keyboard: Mutex<Option<String>>,
    /// All that commands wrote to standard error.
    complaints: Mutex<String>,
}

impl House {
    /// Makes the data directory `dir` and starts the daemon; nobody but the administrator works there yet.
    pub fn found(id: &'static str, jurisdiction: &str, dir: PathBuf) -> Self {
        let mut house = Self::prepare(id, jurisdiction, dir);
        house.start();
        house
    }

    /// A house whose data directory was made, or will be made, by other means.
    pub fn over(id: &'static str, dir: PathBuf) -> Self {
        Self {
            id,
            dir,
            daemon: None,
            surroundings: Vec::new(),
            at_keyboard: Mutex::default(),
            complaints: Mutex::default(),
        }
    }

    /// Makes the data directory `dir` and starts nothing.
    pub fn prepare(id: &'static str, jurisdiction: &str, dir: PathBuf) -> Self {
        let house = Self::over(id, dir);
        let name = format!("Hospital of {id}");
        let who = [
            "init",
            "--institution",
            id,
            "--name",
            &name,
            "--jurisdiction",
            jurisdiction,
            "--unattended",
        ];
        let local = [
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "--dial",
            "loopback",
        ];
        house.typed(&[&who[..], &local[..]].concat(), Some(PASSWORD)).ok();
        house
    }

    /// Starts the daemon and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(outcome) = self.try_start() {
            panic!("the daemon did not start: {}", outcome.story());
        }
    }

    /// Starts the daemon and waits until it answers, or until it has refused to start.
    ///
    /// # Errors
    /// How the daemon ended.
    pub fn try_start(&mut self) -> Result<(), Outcome> {
        assert!(self.daemon.is_none(), "{} is running", self.id);
        let before = self.log().len();
        self.daemon = Some(self.serve().spawn().expect("the daemon starts"));
        for _ in 0..LOOKS {
            if self.run(&["--format", "json", "status"]).code == Some(0) {
                return Ok(());
            }
            let daemon = self.daemon.as_mut().expect("a daemon");
            if let Some(status) = daemon.try_wait().expect("the daemon can be asked") {
                self.daemon = None;
                let log = self.log();
                let stderr = log.get(before..).unwrap_or_default().to_owned();
                return Err(Outcome {
                    typed: "serve".into(),
                    code: status.code(),
                    stdout: String::new(),
                    stderr,
                });
            }
            sleep(LOOK);
        }
        panic!("{} neither ran nor ended:\n{}", self.id, self.log());
    }

    /// The daemon starts with these environment variables from its next start on, and with none of those set before.
    pub fn surround(&mut self, variables: &[(&str, &str)]) {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.surroundings = owned.collect();
    }

    /// The daemon's command, its outputs appended to a file beside the data directory.
    fn serve(&self) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("a log");
        let mut command = self.command(&["serve"]);
        command
            .envs(self.surroundings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        command
    }

    /// Ends the daemon as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("the daemon can be killed");
            daemon.wait().expect("the daemon is gone");
        }
    }

    /// Asks the daemon to stop (SIGTERM), waits until it has, and returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take()?;
        let asked = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status();
        assert!(
            asked.expect("`kill` runs").success(),
            "the daemon could not be asked to stop"
        );
        daemon.wait().expect("the daemon has ended").code()
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon that runs").id()
    }

    /// Ends the daemon as a power cut would while others still use this house; `kill` clears up after it.
    pub fn cut_power(&self) {
        let killed = Command::new("kill").args(["-KILL", &self.pid().to_string()]).status();
        assert!(killed.expect("`kill` runs").success(), "the daemon could not be killed");
    }

    /// Whether the daemon runs.
    pub fn is_running(&mut self) -> bool {
        self.daemon
            .as_mut()
            .is_some_and(|daemon| daemon.try_wait().expect("the daemon can be asked").is_none())
    }

    /// Hires a steward and a researcher, both trained.
    pub fn hire(&self) {
        self.log_in(Person::Administrator);
        for (person, role) in [(Person::Steward, "steward"), (Person::Researcher, "researcher")] {
            self.enlist(person.name(), role);
            self.log_in(Person::Administrator);
            let course = ["--course", "human-subjects-protection", "--until", "2099-12-31"];
            self.run(&[&["user", "training", person.name()][..], &course[..]].concat())
                .ok();
        }
    }

    /// Adds an account, and sets its password as its person does: with the one that the administrator gave, once.
    pub fn enlist(&self, name: &str, role: &str) {
        self.log_in(Person::Administrator);
        let given = format!("for the first time {name}");
        self.typed(&["user", "add", name, "--role", role], Some(&given)).ok();
        self.typed(&["login", name], Some(&given)).ok();
        self.typed(&["passwd"], Some(&format!("{given}\n{PASSWORD}"))).ok();
        self.forget_login();
    }

    /// Commands are `person`'s from here on. Does nothing if they are already.
    #[track_caller]
    pub fn log_in(&self, person: Person) {
        let mut at_keyboard = self.at_keyboard.lock().unwrap();
        if at_keyboard.as_deref() != Some(person.name()) {
            self.typed(&["login", person.name()], Some(PASSWORD)).ok();
            *at_keyboard = Some(person.name().to_owned());
        }
    }

    /// Forgets who is logged in, so that the next `log_in` logs in anew; for after a restart or a `logout`.
    pub fn forget_login(&self) {
        *self.at_keyboard.lock().unwrap() = None;
    }

    /// `person` types a command.
    #[track_caller]
    pub fn as_(&self, person: Person, args: &[&str]) -> Outcome {
        self.log_in(person);
        self.run(args)
    }

    /// `person` types a command that works, and gets JSON.
    #[track_caller]
    pub fn json_as(&self, person: Person, args: &[&str]) -> Value {
        self.as_(person, &[&["--format", "json"], args].concat()).ok().json()
    }

    /// `person` types a command that ends with the exit code `code`, and gets the error object.
    #[track_caller]
    pub fn refused_as(&self, person: Person, code: i32, args: &[&str]) -> Value {
        self.as_(person, &[&["--format", "json"], args].concat())
            .exits(code)
            .problem()
    }

    /// The researcher asks, and gets CSV or a refusal.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> Outcome {
        self.as_(Person::Researcher, &["--format", "csv", "query", sql])
    }

    /// Whoever is logged in types a command.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.typed(args, None)
    }

    /// Whoever is logged in types a command, and `line` on its standard input.
    pub fn typed(&self, args: &[&str], line: Option<&str>) -> Outcome {
        let mut command = self.command(args);
        let stdin = if line.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        if let (Some(line), Some(mut stdin)) = (line, child.stdin.take()) {
            // A command that needs no input may have ended before it reads.
            stdin.write_all(format!("{line}\n").as_bytes()).ok();
        }
        let outcome = ended(child, &format!("{}: concordat {}", self.id, args.join(" ")));
        self.complaints.lock().unwrap().push_str(&outcome.stderr);
        outcome
    }

    /// Starts a command of whoever is logged in and leaves it running, its outputs in pipes.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    }

    /// Types a command, and `lines` on its standard input, with the variables that the daemon starts with.
    pub fn surrounded(&self, args: &[&str], lines: &str) -> Outcome {
        let mut command = self.command(args);
        command.envs(self.surroundings.iter().cloned());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that needs no input may have ended before it reads.
        stdin.write_all(lines.as_bytes()).ok();
        drop(stdin);
        ended(child, &format!("{}: concordat {}", self.id, args.join(" ")))
    }

    /// The command `concordat --dir DIR …`, for what the other calls do not offer.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program::path());
        command
            .env_remove("CONCORDAT_DIR")
            .env("NO_COLOR", "1")
            .env("XDG_RUNTIME_DIR", self.desk())
            .current_dir(self.desk())
            .arg("--dir")
            .arg(&self.dir)
            .args(args);
        command
    }

    /// Asks `look` until it says yes; a minute without that is a failure.
    #[track_caller]
    pub fn await_that(&self, what: &str, mut look: impl FnMut(&Self) -> bool) {
        for _ in 0..LOOKS {
            if look(self) {
                return;
            }
            sleep(LOOK);
        }
        panic!("{} waited in vain for: {what}\n{}", self.id, self.log());
    }

    /// What `concordat status --format json` says.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["--format", "json", "status"]).ok().json()
    }

    /// Waits until `count` peers are connected.
    #[track_caller]
    pub fn await_peers(&self, count: u64) {
        self.await_that("peers", |house| house.status()["connected"].as_u64() == Some(count));
    }

    /// All that the daemon has written, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// All that commands have written to standard error.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap().clone()
    }

    /// The folder in which commands are typed; lists of refused rows come to lie there.
    pub fn desk(&self) -> &Path {
        self.dir.parent().expect("a folder around the data directory")
    }

    /// The administrator accepts the configuration as it is now; the daemon must not run.
    #[track_caller]
    pub fn accept_configuration(&self) {
        let accepted = self.typed(&["config", "accept", "--as", "administrator"], Some(PASSWORD));
        accepted.ok();
    }

    /// Lets the next start listen on the ports of this one, which peers know.
    pub fn pin_ports(&self) {
        let path = self.dir.join("concordat.toml");
        let mut config = std::fs::read_to_string(&path).expect("the configuration");
        let status = self.status();
        for address in status["listen"]
            .as_array()
            .expect("addresses")
            .iter()
            .filter_map(Value::as_str)
        {
            let address = address.split("/p2p/").next().expect("an address");
            let chosen: Vec<&str> = address
                .split('/')
                .map(|part| if part.parse::<u16>().is_ok() { "0" } else { part })
                .collect();
            config = config.replace(&format!("\"{}\"", chosen.join("/")), &format!("\"{address}\""));
        }
        std::fs::write(&path, config).expect("the configuration can be written");
    }

    /// Asks the daemon's HTTP API on its socket, as nobody, and returns all that came, head and body.
    pub fn http_get(&self, path: &str) -> String {
        let mut socket = UnixStream::connect(self.dir.join("run/api.sock")).expect("the socket answers");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the answer is text");
        answer
    }

    fn log_path(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// Every file below the data directory, in a stable order.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.dir, &mut found);
        found.sort();
        found
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            collect(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Waits for a command and collects what it wrote.
fn ended(mut child: Child, typed: &str) -> Outcome {
    let stdout = collected(child.stdout.take().expect("a pipe"));
    let stderr = collected(child.stderr.take().expect("a pipe"));
    let mut code = None;
    for look in 0..=COMMAND_LOOKS {
        if let Some(status) = child.try_wait().expect("the command can be asked") {
            code = status.code();
            break;
        }
        if look == COMMAND_LOOKS {
            child.kill().expect("the command can be killed");
            child.wait().expect("the command is gone");
            panic!("`{typed}` hangs; it wrote: {}", stderr.join().unwrap());
        }
        // Most commands take some milliseconds.
        sleep(if look < 100 { Duration::from_millis(2) } else { LOOK });
    }
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    Outcome {
        typed: typed.to_owned(),
        code,
        stdout,
        stderr,
    }
}

fn collected(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
