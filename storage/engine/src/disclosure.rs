//! What may be released.
//!
//! Below tier `records`, [`mod@withhold`] decides which cells have too few subjects and which further ones would reveal
//! those. Everything that is released is a [`ReleasedAnswer`]; before each batch it checks whether it is still
//! permitted ([`StillPermitted`]), and it counts what was released ([`AnswerTotals`]).

mod ipc;
mod release;
pub(crate) mod withhold;

pub use ipc::{AnswerTotals, IpcAnswer, ReleasedChunk};
pub use release::{Cut, ReleasedAnswer, ReleasedBatch, StillPermitted};
pub(crate) use release::{RawAnswer, rows_in_a_chunk};
pub(crate) use withhold::{Cell, Subjects, withhold, withhold_values};
