//! The binary under test: built once in a test run, by the cargo that runs the tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use cargo_metadata::Message;

static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| CHOSEN.get().cloned().unwrap_or_else(build));
static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

/// Uses another binary than the one of the dev profile; must be called before anything is run.
pub fn choose(program: &Path) {
    CHOSEN.set(program.to_owned()).expect("the program is chosen once");
}

/// Path of the binary `concordat`, in the dev profile and the target directory that cargo uses here.
pub fn path() -> &'static Path {
    &PROGRAM
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
}

/// Whether cargo set the variable for the package whose test this is. Build scripts that look at such variables (`ring`'s does) would
/// run again because of them, and everything above `ring`, which is the engine too, would be compiled twice in each run.
fn is_of_this_package(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
}

/// The same selection as the tests' own build, so that nothing is compiled twice.
fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--workspace", "--bin", "concordat", "--quiet"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_of_this_package) {
        command.env_remove(name);
    }
    let mut child = command.spawn().expect("cargo starts");
    let messages = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "cargo adds messages; only those about artifacts are relevant here"
    )]
    let built = Message::parse_stream(messages).filter_map(|message| match message.expect("a message of cargo") {
        Message::CompilerArtifact(artifact) if artifact.target.name == "concordat" => artifact.executable,
        _ => None,
    });
    let program = built.last();
    assert!(
        child.wait().expect("cargo ends").success(),
        "the binary could not be built"
    );
    program.expect("cargo names the binary").into_std_path_buf()
}
