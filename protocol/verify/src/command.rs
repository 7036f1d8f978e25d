//! The command: its arguments, its output and its exit codes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use concordat_protocol::error_kind::chain;

use crate::MAX_FILE;
use crate::{Conclusion, KnownKeys, TerminalLine, VerifyError, conclude};

const USAGE: &str = "\
concordat-verify FILE [--key INSTITUTION=FINGERPRINT]...

Checks what `concordat audit receipt` or `audit export` wrote, with only public keys. Give the key of each institution that you
know from elsewhere (`concordat consortium roster show`): its short name and the fingerprint, such as `zurich=0123-4567-...`. What
bears the name of an institution is valid only under a key that was given for it, or under one that follows such a key by statements
in the file. If an institution had several keys, give each.

Exits with 0 if the file is valid and made with the given keys, 3 if it is valid but something is missing (no key was given for an
institution, a signature of the other side, an entry of a ledger), 2 if the file or a key cannot be read, 6 if the file is invalid or made with another key
than the one that was given.
";

/// The result of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// The exit code.
    pub code: u8,
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
}

/// Runs the command.
pub fn run(mut arguments: impl Iterator<Item = String>) -> CommandResult {
    let mut file = None;
    let mut keys = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return CommandResult::new(0, USAGE.to_owned()),
            "--key" => match arguments.next() {
                Some(key) => keys.push(key),
                None => return misused(),
            },
            _ if file.is_none() && !argument.starts_with('-') => file = Some(argument),
            _ => return misused(),
        }
    }
    let Some(file) = file else {
        return misused();
    };
    let keys = match KnownKeys::parse(&keys) {
        Ok(keys) => keys,
        Err(error) => return failed(2, &error.to_string()),
    };
    match read(Path::new(&file)) {
        Ok(text) => report(conclude(&text, &keys)),
        Err(error) => failed(2, &format!("cannot read `{file}`: {error}")),
    }
}

/// Reads a regular file: a pipe would wait, and a device may have no end. One byte more than the limit is read, so that a longer file is
/// recognized.
fn read(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        let what = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE.saturating_add(1))
        .read_to_string(&mut text)?;
    Ok(text)
}

fn report(conclusion: Result<Conclusion, VerifyError>) -> CommandResult {
    match conclusion {
        Ok(Conclusion { lines, missing }) if missing.is_empty() => {
            CommandResult::new(0, format!("{}ok\n", printed(&lines)))
        }
        Ok(Conclusion { lines, missing }) => {
            let missing: Vec<String> = missing.iter().map(TerminalLine::to_string).collect();
            let verdict = format!("valid, but {}", missing.join("; "));
            CommandResult::new(3, format!("{}{verdict}\n", printed(&lines)))
        }
        Err(error @ VerifyError::Unreadable) => failed(2, &chain(&error)),
        Err(error @ (VerifyError::Evidence(_) | VerifyError::Export(_) | VerifyError::OtherKey { .. })) => {
            failed(6, &chain(&error))
        }
    }
}

fn printed(lines: &[TerminalLine]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

impl CommandResult {
    const fn new(code: u8, stdout: String) -> Self {
        Self {
            code,
            stdout,
            stderr: String::new(),
        }
    }
}

fn misused() -> CommandResult {
    CommandResult {
        code: 2,
        stdout: String::new(),
        stderr: USAGE.to_owned(),
    }
}

/// An error on one line: it may quote the file, its name, or a key.
fn failed(code: u8, text: &str) -> CommandResult {
    CommandResult {
        code,
        stdout: String::new(),
        stderr: format!("{}\n", TerminalLine::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::audit::ExportError;

    use super::*;

    #[test]
    fn each_result_has_its_exit_code() {
        let code = |arguments: &[&str]| run(arguments.iter().map(|text| (*text).to_owned())).code;
        assert_eq!(code(&["--help"]), 0);
        assert_eq!((code(&[]), code(&["--key"]), code(&["a", "b"])), (2, 2, 2));
        assert_eq!(code(&["/nonexistent/file"]), 2);
        assert_eq!((code(&["/dev/zero"]), code(&["/"])), (2, 2));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(code(&[manifest]), 2);
        for key in ["abcd", "zurich", "zurich=", "zurich=abcd", "=0123", "Zürich=00"] {
            let refused = run([manifest, "--key", key].into_iter().map(str::to_owned));
            assert!(refused.code == 2 && refused.stderr.contains(key), "{refused:?}");
        }
        let conclusion = |missing: &[&str]| Conclusion {
            lines: Vec::new(),
            missing: missing.iter().map(|text| TerminalLine::new(text)).collect(),
        };
        assert_eq!(report(Ok(conclusion(&[]))).code, 0);
        assert_eq!(report(Ok(conclusion(&["a key"]))).code, 3);
        assert_eq!(report(Err(ExportError::OtherRoot.into())).code, 6);
        let other = VerifyError::OtherKey {
            institution: "zurich".parse().unwrap(),
            found: "0123".to_owned(),
        };
        assert_eq!(report(Err(other)).code, 6);
    }

    #[test]
    fn verifier_prints_names_of_files_and_keys_escaped() {
        let hostile = "\u{1b}[2K\rok\n\u{202e}";
        for arguments in [vec![hostile], vec!["file", "--key", hostile]] {
            let refused = run(arguments.into_iter().map(str::to_owned));
            assert_eq!((refused.code, refused.stderr.lines().count()), (2, 1));
            let shown = refused.stderr.trim_end();
            assert!(!shown.chars().any(concordat_protocol::text::is_deceptive), "{shown:?}");
        }
    }
}
