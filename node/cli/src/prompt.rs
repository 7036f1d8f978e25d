//! Reads secrets from people: typed without echo at a terminal, or each as the next line of standard input if there is none.

use std::fmt;
use std::io::{IsTerminal, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use concordat_documents::problem::Problem;
use concordat_documents::secret::SecretText;
use zeroize::{Zeroize, Zeroizing};

/// Most bytes of a secret on standard input.
const MAX_SECRET: usize = 4096;
/// How many lines of standard input were read: commands with several secrets read one line for each.
static LINES_READ: AtomicUsize = AtomicUsize::new(0);

/// What a person entered: wiped when dropped, and never printed.
pub struct EnteredSecret(Zeroizing<Vec<u8>>);

impl EnteredSecret {
    /// The bytes themselves; every use of this name is a point to review.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl fmt::Debug for EnteredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnteredSecret(..)")
    }
}

/// Prompts for an existing secret.
///
/// # Errors
/// If there is neither a terminal nor a line of input.
pub fn secret(what: &str) -> Result<EnteredSecret, Problem> {
    if std::io::stdin().is_terminal() {
        return typed(&format!("{}: ", capitalized(what)));
    }
    next_line(what)
}

/// Prompts for a new secret; at a terminal twice, so that a typo does not lock the person out.
///
/// # Errors
/// If the two differ, or there is neither a terminal nor a line of input.
pub fn new_secret(what: &str) -> Result<EnteredSecret, Problem> {
    if !std::io::stdin().is_terminal() {
        return next_line(what);
    }
    let first = typed(&format!("New {what}: "))?;
    let second = typed(&format!("The same {what} again: "))?;
    if first.0 == second.0 {
        Ok(first)
    } else {
        Err(Problem::usage("the two entries differ").help("try again"))
    }
}

/// The next line of standard input, without its line end; `None` at a terminal and if the input is empty.
///
/// # Errors
/// If standard input cannot be read, or the line is too long for a secret.
pub fn piped() -> Result<Option<EnteredSecret>, Problem> {
    if std::io::stdin().is_terminal() {
        Ok(None)
    } else {
        read_line()
    }
}

/// Succeeds only if the person types `word`.
///
/// # Errors
/// If something else is typed, or there is no terminal.
pub(crate) fn confirm(prompt: &str, word: &str) -> Result<(), Problem> {
    confirm_or(prompt, word, "add `--yes`")
}

/// Like [`confirm`]; `instead` is the help text if there is no terminal.
///
/// # Errors
/// As for [`confirm`].
pub(crate) fn confirm_or(prompt: &str, word: &str, instead: &str) -> Result<(), Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::usage("this needs a confirmation").help(instead));
    }
    eprint!("{prompt}: ");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| Problem::internal("cannot read from the terminal", &error))?;
    if line.trim() == word {
        Ok(())
    } else {
        Err(Problem::usage("it was not confirmed; nothing was done"))
    }
}

/// A secret as the text that goes into a request.
pub(crate) fn text(secret: &EnteredSecret) -> Result<SecretText, Problem> {
    let text = std::str::from_utf8(&secret.0).map_err(|_| Problem::usage("the password is not text in UTF-8"))?;
    Ok(SecretText::new(text.to_owned()))
}

fn typed(prompt: &str) -> Result<EnteredSecret, Problem> {
    rpassword::prompt_password(prompt)
        .map(|text| EnteredSecret(Zeroizing::new(text.into_bytes())))
        .map_err(|error| Problem::internal("cannot read from the terminal", &error))
}

/// The secret `what` on the next line of standard input.
fn next_line(what: &str) -> Result<EnteredSecret, Problem> {
    let before = LINES_READ.load(Ordering::Relaxed);
    read_line()?.ok_or_else(|| no_input(what, before))
}

/// Reads byte by byte, so that a second secret can follow on the next line.
fn read_line() -> Result<Option<EnteredSecret>, Problem> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_SECRET));
    let mut byte = [0];
    let mut input = std::io::stdin().lock();
    while line.len() < MAX_SECRET {
        let read = input.read(&mut byte);
        match read.map_err(|error| Problem::internal("cannot read standard input", &error))? {
            0 => break,
            _ if byte == *b"\n" => break,
            _ => line.extend_from_slice(&byte),
        }
    }
    byte.zeroize();
    LINES_READ.fetch_add(1, Ordering::Relaxed);
    if line.len() == MAX_SECRET {
        return Err(Problem::usage("a line of standard input is too long for a secret"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok((!line.is_empty()).then(|| EnteredSecret(line)))
}

/// The secret `what` is missing after as many lines as were read `before` it.
fn no_input(what: &str, before: usize) -> Problem {
    let line = match before {
        0 => "the first line".to_owned(),
        1 => "the second line".to_owned(),
        more => format!("line {}", more.saturating_add(1)),
    };
    Problem::usage(format!(
        "no {what} was given: standard input is neither a terminal nor a line of text"
    ))
    .help(format!(
        "type the {what} at a terminal, or pass it as {line} of standard input"
    ))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_that_is_missing_names_its_line() {
        for (before, line) in [(0, "as the first line"), (1, "as the second line"), (2, "as line 3")] {
            let help = no_input("password", before).help.unwrap();
            assert!(help.contains(line), "{help}");
        }
    }
}
