//! `concordat-verify FILE [--key INSTITUTION=FINGERPRINT]…`: reads one file and prints what it proves.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = concordat_verify::run(std::env::args().skip(1));
    // If the reader has closed its end, there is no one to report an error to.
    let _ = std::io::stdout().write_all(result.stdout.as_bytes());
    let _ = std::io::stderr().write_all(result.stderr.as_bytes());
    ExitCode::from(result.code)
}
