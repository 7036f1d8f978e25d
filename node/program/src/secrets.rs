//! Secrets that a person enters, as storage takes them.

use concordat_cli::prompt;
use concordat_documents::problem::Problem;
use concordat_keys::Secret;

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

/// The first line of standard input, if it is not a terminal.
///
/// # Errors
/// As [`prompt::piped`].
pub(crate) fn piped() -> Result<Option<Secret>, Problem> {
    Ok(prompt::piped()?.map(|entered| entered.into_bytes().into()))
}
