//! The command: its arguments, its output and its exit codes.

use crate::{Conclusion, VerifyError, conclude};

const USAGE: &str = "\
concordat-verify FILE [--key FINGERPRINT]...

Checks what `concordat audit receipt` or `audit export` wrote, with only public keys. FINGERPRINT is that of an
institution whose key you know from elsewhere (`concordat consortium roster show`); give one for each institution.

Exits with 0 if the file is valid and each key is one of those given, 3 if it is valid but something is missing (a key that was
not given, a signature of the other side), 2 if the file cannot be read, 6 if it is invalid.
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
    let (mut file, mut keys) = (None, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return succeeded(0, USAGE.to_owned()),
            "--key" => match arguments.next() {
                Some(key) => keys.push(key),
                None => return failed(2, USAGE),
            },
            _ if file.is_none() && !argument.starts_with('-') => file = Some(argument),
            _ => return failed(2, USAGE),
        }
    }
    let Some(file) = file else {
        return failed(2, USAGE);
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => report(conclude(&text, &keys)),
        Err(error) => failed(2, &format!("cannot read `{file}`: {error}\n")),
    }
}

fn report(conclusion: Result<Conclusion, VerifyError>) -> CommandResult {
    match conclusion {
        Ok(Conclusion { lines, missing }) if missing.is_empty() => succeeded(0, format!("{}\nok\n", lines.join("\n"))),
        Ok(Conclusion { lines, missing }) => {
            succeeded(3, format!("{}\nvalid, but {}\n", lines.join("\n"), missing.join("; ")))
        }
        Err(error @ VerifyError::Unreadable) => failed(2, &format!("{error}\n")),
        Err(error @ (VerifyError::Evidence(_) | VerifyError::Export(_))) => failed(6, &format!("{}\n", chain(&error))),
    }
}

const fn succeeded(code: u8, stdout: String) -> CommandResult {
    CommandResult {
        code,
        stdout,
        stderr: String::new(),
    }
}

fn failed(code: u8, text: &str) -> CommandResult {
    CommandResult {
        code,
        stdout: String::new(),
        stderr: text.to_owned(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
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
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(code(&[manifest, "--key", "abcd"]), 2);
        let conclusion = |missing: &[&str]| Conclusion {
            lines: Vec::new(),
            missing: missing.iter().map(|text| (*text).to_owned()).collect(),
        };
        assert_eq!(report(Ok(conclusion(&[]))).code, 0);
        assert_eq!(report(Ok(conclusion(&["a key"]))).code, 3);
        assert_eq!(report(Err(ExportError::OtherRoot.into())).code, 6);
    }
}
