//! The outcome of a change of the roster or of the charter.

use concordat_documents::consortium::{IssuedChange, ProposedChange, Roster};
use concordat_documents::problem::Problem;
use serde::Serialize;

use crate::context::Context;
use crate::output::Format;

/// Prints what changed, or the proposal that other holders must sign.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn show(
    issued: &IssuedChange,
    sentence: impl FnOnce(&Roster) -> String,
    context: &Context,
) -> Result<(), Problem> {
    match issued {
        IssuedChange::Active(roster) => context.out.done(&sentence(roster), roster),
        IssuedChange::Proposed(change) => proposed(change, change, context),
    }
}

/// Prints the proposal that other holders must sign; with JSON, the complete `document`.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn proposed(change: &ProposedChange, document: &impl Serialize, context: &Context) -> Result<(), Problem> {
    if context.out.format() == Format::Json {
        return context.out.record(document);
    }
    let ProposedChange {
        proposal,
        kind,
        signatures,
        needed,
    } = change;
    context.out.note(&format!(
        "nothing has changed yet: {signatures} of {needed} holders have signed; the next one runs `concordat consortium {kind} sign FILE`"
    ));
    context.out.text(proposal)
}
