//! What may be released.
//!
//! Below tier `records`, [`withhold`] decides which cells have too few subjects and which further ones would reveal
//! those. Everything that is released is a [`ReleasedAnswer`]; before each batch it checks whether it is still
//! permitted ([`StillPermitted`]), and it counts what was released ([`AnswerTotals`]).

pub(crate) mod cells;
mod ipc;
mod release;

pub(crate) use cells::{Cell, Subjects, withhold, withhold_values};
pub use ipc::{AnswerTotals, IpcAnswer};
pub use release::{Cut, ReleasedAnswer, ReleasedBatch, StillPermitted};
pub(crate) use release::{RawAnswer, rows_in_a_chunk};
