//! Reads secrets from people: typed without echo at a terminal, or as the first line of standard input if there is none.

use std::fmt;
use std::io::{IsTerminal, Read};

use concordat_documents::problem::Problem;
use concordat_documents::secret::SecretText;
use zeroize::{Zeroize, Zeroizing};

/// Most bytes of a secret on standard input.
const MAX_SECRET: usize = 4096;

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
    first_line()?.ok_or_else(|| no_input(what))
}

/// Prompts for a new secret; at a terminal twice, so that a typo does not lock the person out.
///
/// # Errors
/// If the two differ, or there is neither a terminal nor a line of input.
pub fn new_secret(what: &str) -> Result<EnteredSecret, Problem> {
    if !std::io::stdin().is_terminal() {
        return first_line()?.ok_or_else(|| no_input(what));
    }
    let first = typed(&format!("New {what}: "))?;
    let second = typed(&format!("The same {what} again: "))?;
    if first.0 == second.0 {
        Ok(first)
    } else {
        Err(Problem::usage("the two entries differ").help("try again"))
    }
}

/// The first line of standard input, without its line end; `None` at a terminal and if the input is empty.
///
/// # Errors
/// If standard input cannot be read, or the line is too long for a secret.
pub fn piped() -> Result<Option<EnteredSecret>, Problem> {
    if std::io::stdin().is_terminal() {
        Ok(None)
    } else {
        first_line()
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

/// Reads byte by byte, so that a second secret can follow on the next line.
fn first_line() -> Result<Option<EnteredSecret>, Problem> {
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
    if line.len() == MAX_SECRET {
        return Err(Problem::usage(
            "the first line of standard input is too long for a secret",
        ));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok((!line.is_empty()).then(|| EnteredSecret(line)))
}

fn no_input(what: &str) -> Problem {
    Problem::usage(format!(
        "no {what} was given: standard input is neither a terminal nor a line of text"
    ))
    .help(format!(
        "type the {what} at a terminal, or pass it as the first line of standard input"
    ))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
