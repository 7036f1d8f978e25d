//! `concordat-verify FILE [--key FINGERPRINT]…`: reads one file and says what it proves.

use std::io::Write as _;
use std::process::ExitCode;

use concordat_verify::{Conclusion, VerifyError, conclude};

const USAGE: &str = "\
concordat-verify FILE [--key FINGERPRINT]...

Checks what `concordat audit receipt` or `audit export` wrote, with nothing but public keys. FINGERPRINT is that of
an institution whose key you know from elsewhere (`concordat consortium roster show`); give one for each institution.

Ends with 0 if all of it holds and each key is one of those given, 3 if it holds and something is missing (a key that nobody
named, a signature of the other side), 2 if the file cannot be read, 6 if it does not hold.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut file, mut keys) = (None, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return say(USAGE, 0),
            "--key" => match arguments.next() {
                Some(key) => keys.push(key),
                None => return complain(USAGE, 2),
            },
            _ if file.is_none() && !argument.starts_with('-') => file = Some(argument),
            _ => return complain(USAGE, 2),
        }
    }
    let Some(file) = file else {
        return complain(USAGE, 2);
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return complain(&format!("cannot read `{file}`: {error}\n"), 2),
    };
    match conclude(&text, &keys) {
        Ok(Conclusion { lines, missing }) if missing.is_empty() => say(&format!("{}\nok\n", lines.join("\n")), 0),
        Ok(Conclusion { lines, missing }) => say(
            &format!("{}\nit holds, but {}\n", lines.join("\n"), missing.join("; ")),
            3,
        ),
        Err(error @ VerifyError::Unreadable) => complain(&format!("{error}\n"), 2),
        Err(error) => complain(&format!("it does not hold: {}\n", chain(&error)), 6),
    }
}

fn say(text: &str, code: u8) -> ExitCode {
    // A reader that has gone does not need to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn complain(text: &str, code: u8) -> ExitCode {
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
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
