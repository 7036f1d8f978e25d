//! What follows in a negotiation whose state does not allow a step.

use concordat_protocol::negotiation::StateName;

/// What to do instead of a step that is not possible in `state`.
pub(super) const fn next_step(state: StateName) -> &'static str {
    match state {
        StateName::Requested => {
            "the holder of the data answers next, with `concordat grant offer` or `concordat grant reject`"
        }
        StateName::Offered => "the requester answers next, with `concordat grant accept` or `concordat grant reject`",
        StateName::Accepted => {
            "the holder signs the terms next: its node does so by itself, or `concordat grant show` at the holder shows why it has not"
        }
        StateName::Agreed | StateName::Verified => {
            "both nodes finish the agreement by themselves as soon as they are connected; `concordat grant show` shows it"
        }
        StateName::Finalized => {
            "the agreement is complete: `concordat grant show` shows it, and other terms need another `concordat grant request`"
        }
        StateName::Terminated => {
            "it has ended, and `concordat grant show` shows why; `concordat grant request` begins another one"
        }
    }
}
