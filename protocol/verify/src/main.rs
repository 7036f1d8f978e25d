//! `concordat-verify FILE [--key FINGERPRINT]…`: reads one file and says what it proves.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ended = concordat_verify::run(std::env::args().skip(1));
    // A reader that has gone does not need to know.
    let _ = std::io::stdout().write_all(ended.stdout.as_bytes());
    let _ = std::io::stderr().write_all(ended.stderr.as_bytes());
    ExitCode::from(ended.code)
}
