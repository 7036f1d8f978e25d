//! One institution: a data directory, a daemon, and the commands its users type.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use serde_json::Value;

use crate::outcome::Outcome;
use crate::program;

/// The password of every user.
pub const PASSWORD: &str = "correct horse battery staple";
/// How often an awaited condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Checks until an awaited condition counts as failed: a minute, which only a hang takes.
const POLLS: usize = 3000;
/// The longest a command may take, in units of [`POLL_INTERVAL`]: two minutes.
const COMMAND_POLLS: usize = 6000;

/// A user of an institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// Runs the node.
    Administrator,
    /// Is responsible for the data.
    Steward,
    /// Queries data.
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

/// A running institution. Dropping it stops its daemon.
#[derive(Debug)]
pub struct TestNode {
    /// Its id in the consortium.
    pub id: &'static str,
    /// The data directory.
    pub dir: PathBuf,
    daemon: Option<Child>,
    /// Environment variables that the daemon starts with, in addition to those of the tests.
    env: Vec<(String, String)>,
    logged_in: Mutex<Option<String>>,
    readmitted: AtomicBool,
    /// Everything that commands wrote to standard error.
    stderr_log: Mutex<String>,
}

impl TestNode {
    /// Makes the data directory `dir` and starts the daemon; the only user so far is the administrator.
    pub fn create(id: &'static str, jurisdiction: &str, dir: PathBuf) -> Self {
        let mut node = Self::init(id, jurisdiction, dir);
        node.start();
        node
    }

    /// A node whose data directory was made, or will be made, by other means.
    pub fn at(id: &'static str, dir: PathBuf) -> Self {
        Self {
            id,
            dir,
            daemon: None,
            env: Vec::new(),
            logged_in: Mutex::default(),
            readmitted: AtomicBool::new(false),
            stderr_log: Mutex::default(),
        }
    }

    /// Makes the data directory `dir` and does not start the daemon.
    pub fn init(id: &'static str, jurisdiction: &str, dir: PathBuf) -> Self {
        let node = Self::at(id, dir);
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
        node.run_with_input(&[&who[..], &local[..]].concat(), Some(PASSWORD))
            .ok();
        node
    }

    /// Starts the daemon and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(outcome) = self.try_start() {
            panic!("the daemon did not start: {}", outcome.report());
        }
    }

    /// Starts the daemon and waits until it answers, or until it refuses to start.
    ///
    /// # Errors
    /// How the daemon exited.
    pub fn try_start(&mut self) -> Result<(), Outcome> {
        assert!(self.daemon.is_none(), "{} is running", self.id);
        let before = self.log().len();
        self.daemon = Some(self.serve().spawn().expect("the daemon starts"));
        for _ in 0..POLLS {
            if self.run(&["--format", "json", "status"]).code == Some(0) {
                return Ok(());
            }
            let daemon = self.daemon.as_mut().expect("a daemon");
            if let Some(status) = daemon.try_wait().expect("the daemon's status can be read") {
                self.daemon = None;
                let log = self.log();
                let stderr = log.get(before..).unwrap_or_default().to_owned();
                return Err(Outcome {
                    command: "serve".into(),
                    code: status.code(),
                    stdout: String::new(),
                    stderr,
                });
            }
            sleep(POLL_INTERVAL);
        }
        panic!("{} neither started nor exited:\n{}", self.id, self.log());
    }

    /// Sets the environment variables of the daemon from its next start on, replacing those set before.
    pub fn set_env(&mut self, variables: &[(&str, &str)]) {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.env = owned.collect();
    }

    /// The daemon's command; its output is appended to a file next to the data directory.
    fn serve(&self) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("a log");
        let mut command = self.command(&["serve"]);
        command
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        command
    }

    /// Kills the daemon as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("the daemon can be killed");
            daemon.wait().expect("the daemon has exited");
        }
    }

    /// Asks the daemon to stop (SIGTERM), waits until it has, and returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take()?;
        let signaled = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status();
        assert!(
            signaled.expect("`kill` runs").success(),
            "SIGTERM could not be sent to the daemon"
        );
        daemon.wait().expect("the daemon has exited").code()
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a running daemon").id()
    }

    /// Kills the daemon as a power cut would while others still use this value; `kill` cleans up afterwards.
    pub fn kill_process(&self) {
        let killed = Command::new("kill").args(["-KILL", &self.pid().to_string()]).status();
        assert!(killed.expect("`kill` runs").success(), "the daemon could not be killed");
    }

    /// Whether the daemon runs.
    pub fn is_running(&mut self) -> bool {
        self.daemon
            .as_mut()
            .is_some_and(|daemon| daemon.try_wait().expect("the daemon's status can be read").is_none())
    }

    /// Adds a steward and a researcher, both trained.
    pub fn create_users(&self) {
        self.log_in(Person::Administrator);
        for (person, role) in [(Person::Steward, "steward"), (Person::Researcher, "researcher")] {
            self.add_user(person.name(), role);
            self.log_in(Person::Administrator);
            let course = ["--course", "human-subjects-protection", "--until", "2099-12-31"];
            self.run(&[&["user", "training", person.name()][..], &course[..]].concat())
                .ok();
        }
    }

    /// Adds an account, and sets its password as its user does: with the one-time password from the administrator.
    pub fn add_user(&self, name: &str, role: &str) {
        self.log_in(Person::Administrator);
        let given = format!("for the first time {name}");
        self.run_with_input(&["user", "add", name, "--role", role], Some(&given))
            .ok();
        self.run_with_input(&["login", name], Some(&given)).ok();
        self.run_with_input(&["passwd"], Some(&format!("{given}\n{PASSWORD}")))
            .ok();
        self.forget_login();
    }

    /// Lets the steward and the researcher in again after a restore, as the administrator does: the administrator's password opens one
    /// session, and theirs none. For an hour the administrator alone can query: the others have got passwords from somebody else.
    pub fn readmit_users(&self) {
        const OTHER: &str = "another horse battery staple";
        self.forget_login();
        for (current, next) in [(PASSWORD, OTHER), (OTHER, PASSWORD)] {
            self.run_with_input(&["login", Person::Administrator.name()], Some(current))
                .ok();
            self.run_with_input(&["passwd"], Some(&format!("{current}\n{next}")))
                .ok();
        }
        let course = ["--course", "human-subjects-protection", "--until", "2099-12-31"];
        let trained = |name: &str| self.run(&[&["user", "training", name][..], &course[..]].concat()).ok();
        self.log_in(Person::Administrator);
        trained(Person::Administrator.name());
        self.readmitted.store(true, Ordering::Relaxed);
        for person in [Person::Steward, Person::Researcher] {
            let name = person.name();
            let given = format!("once more for {name}");
            self.log_in(Person::Administrator);
            self.run_with_input(&["user", "password", name], Some(&given)).ok();
            trained(name);
            self.run_with_input(&["login", name], Some(&given)).ok();
            self.run_with_input(&["passwd"], Some(&format!("{given}\n{PASSWORD}")))
                .ok();
            self.forget_login();
        }
    }

    /// Logs in as `person`; following commands are theirs. Does nothing if they are logged in already.
    #[track_caller]
    pub fn log_in(&self, person: Person) {
        let mut logged_in = self.logged_in.lock().unwrap();
        if logged_in.as_deref() != Some(person.name()) {
            self.run_with_input(&["login", person.name()], Some(PASSWORD)).ok();
            *logged_in = Some(person.name().to_owned());
        }
    }

    /// Forgets who is logged in, so that the next `log_in` logs in again; for use after a restart or a `logout`.
    pub fn forget_login(&self) {
        *self.logged_in.lock().unwrap() = None;
    }

    /// Runs a command as `person`.
    #[track_caller]
    pub fn run_as(&self, person: Person, args: &[&str]) -> Outcome {
        self.log_in(person);
        self.run(args)
    }

    /// Runs a command as `person`, which must succeed, and returns its JSON.
    #[track_caller]
    pub fn json_as(&self, person: Person, args: &[&str]) -> Value {
        self.run_as(person, &[&["--format", "json"], args].concat()).ok().json()
    }

    /// Runs a command as `person`, which must exit with `code`, and returns the error object.
    #[track_caller]
    pub fn refused_as(&self, person: Person, code: i32, args: &[&str]) -> Value {
        self.run_as(person, &[&["--format", "json"], args].concat())
            .exits(code)
            .problem()
    }

    /// Runs a query as the researcher; the answer is CSV or a refusal.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Outcome {
        let person = match self.readmitted.load(Ordering::Relaxed) {
            true => Person::Administrator,
            false => Person::Researcher,
        };
        self.run_as(person, &["--format", "csv", "query", sql])
    }

    /// Runs a command as the user who is logged in.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with_input(args, None)
    }

    /// Runs a command as the user who is logged in, with `line` on its standard input.
    pub fn run_with_input(&self, args: &[&str], line: Option<&str>) -> Outcome {
        let mut command = self.command(args);
        let stdin = if line.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        if let (Some(line), Some(mut stdin)) = (line, child.stdin.take()) {
            // A command that needs no input may have ended before it reads.
            stdin.write_all(format!("{line}\n").as_bytes()).ok();
        }
        let outcome = ended(child, &format!("{}: concordat {}", self.id, args.join(" ")));
        self.stderr_log.lock().unwrap().push_str(&outcome.stderr);
        outcome
    }

    /// Starts a command as the user who is logged in and leaves it running, its output in pipes.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    }

    /// Runs a command with `lines` on its standard input and the environment variables of the daemon.
    pub fn run_with_env(&self, args: &[&str], lines: &str) -> Outcome {
        let mut command = self.command(args);
        command.envs(self.env.iter().cloned());
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

    /// The command `concordat --dir DIR …`, for cases that the other methods do not cover.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program::path());
        command
            .env_remove("CONCORDAT_DIR")
            .env("NO_COLOR", "1")
            .env("XDG_RUNTIME_DIR", self.work_dir())
            .current_dir(self.work_dir())
            .arg("--dir")
            .arg(&self.dir)
            .args(args);
        command
    }

    /// Polls `condition` until it is true; fails after a minute.
    #[track_caller]
    pub fn await_condition(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        for _ in 0..POLLS {
            if condition(self) {
                return;
            }
            sleep(POLL_INTERVAL);
        }
        panic!("{} waited in vain for: {what}\n{}", self.id, self.log());
    }

    /// The output of `concordat status --format json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["--format", "json", "status"]).ok().json()
    }

    /// Waits until `count` peers are connected.
    #[track_caller]
    pub fn await_peers(&self, count: u64) {
        self.await_condition("peers", |node| node.status()["connected"].as_u64() == Some(count));
    }

    /// Everything that the daemon has written, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Everything that commands have written to standard error.
    pub fn stderr_log(&self) -> String {
        self.stderr_log.lock().unwrap().clone()
    }

    /// The working directory of commands; lists of refused rows are written there.
    pub fn work_dir(&self) -> &Path {
        self.dir.parent().expect("a folder around the data directory")
    }

    /// Accepts the current configuration as the administrator; the daemon must not be running.
    #[track_caller]
    pub fn accept_configuration(&self) {
        let accepted = self.run_with_input(&["config", "accept", "--as", "administrator"], Some(PASSWORD));
        accepted.ok();
    }

    /// Makes the next start listen on the current ports, which peers know.
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

    /// Sends a request to the daemon's HTTP API on its socket without a login, and returns the whole response, head and body.
    pub fn http_get(&self, path: &str) -> String {
        self.http("GET", path, None, "")
    }

    /// The response to an HTTP request on the socket, complete with its head. The session is that of `token`; `body` is JSON.
    pub fn http(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> String {
        let mut socket = UnixStream::connect(self.dir.join("run/api.sock")).expect("the socket answers");
        let session = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{session}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the answer is text");
        answer
    }

    /// The token of a new session of `person`, who keeps the session of the command line.
    pub fn session_token(&self, person: Person) -> String {
        let login = format!("{{\"name\":\"{}\",\"password\":\"{PASSWORD}\"}}", person.name());
        let answer = self.http("POST", "/v1/login", None, &login);
        let (_, rest) = answer.split_once("\"token\":\"").expect("a token");
        rest.split('"').next().expect("its end").to_owned()
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

impl Drop for TestNode {
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

/// Waits for a command and collects its output.
fn ended(mut child: Child, command: &str) -> Outcome {
    let stdout = collected(child.stdout.take().expect("a pipe"));
    let stderr = collected(child.stderr.take().expect("a pipe"));
    let mut code = None;
    for poll in 0..=COMMAND_POLLS {
        if let Some(status) = child.try_wait().expect("the command's status can be read") {
            code = status.code();
            break;
        }
        if poll == COMMAND_POLLS {
            child.kill().expect("the command can be killed");
            child.wait().expect("the command has exited");
            panic!("`{command}` hangs; it wrote: {}", stderr.join().unwrap());
        }
        // Most commands take some milliseconds.
        sleep(if poll < 100 {
            Duration::from_millis(2)
        } else {
            POLL_INTERVAL
        });
    }
    let stdout = stdout.join().unwrap();
    let stderr = stderr.join().unwrap();
    Outcome {
        command: command.to_owned(),
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
