//! Secrets that a person enters, as storage takes them.

use std::io::IsTerminal as _;

use concordat_cli::output::Output;
use concordat_cli::prompt;
use concordat_documents::problem::Problem;
use concordat_keys::Secret;
use concordat_protocol::error_kind::ErrorKind;

/// How often a person is asked for the same secret.
const TRIES: usize = 5;

/// Prompts for an existing secret.
///
/// # Errors
/// As [`prompt::secret`].
pub(crate) fn secret(what: &str) -> Result<Secret, Problem> {
    Ok(prompt::secret(what)?.into_bytes().into())
}

/// Prompts for a new secret.
///
/// # Errors
/// As [`prompt::new_secret`].
pub(crate) fn new_secret(what: &str) -> Result<Secret, Problem> {
    Ok(prompt::new_secret(what)?.into_bytes().into())
}

/// Prompts for a new secret that has to follow a rule. At a terminal, the rule is shown first, and a secret that does not follow it is asked
/// for again.
///
/// # Errors
/// As [`new_secret`], and what `check` finds.
pub(crate) fn chosen(
    what: &str,
    rule: &str,
    check: impl Fn(&Secret) -> Result<(), Problem>,
    out: &Output,
) -> Result<Secret, Problem> {
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        out.note(&format!("the {what}: {rule}"));
    }
    let attempt = || {
        let secret = new_secret(what)?;
        check(&secret).map(|()| secret)
    };
    for _ in 1..TRIES {
        match attempt() {
            Err(problem) if is_terminal && problem.code == ErrorKind::Usage => out.note(&problem.detail),
            done => return done,
        }
    }
    attempt()
}

/// The next line of standard input, if it is not a terminal.
///
/// # Errors
/// As [`prompt::piped`].
pub(crate) fn piped() -> Result<Option<Secret>, Problem> {
    Ok(prompt::piped()?.map(|entered| entered.into_bytes().into()))
}
