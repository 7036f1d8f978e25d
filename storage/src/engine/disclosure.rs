//! What may leave.
//!
//! Below tier `records`, [`withhold`] decides which cells have too few subjects behind them and which further ones would give
//! those away. Whatever leaves is a [`ReleasedAnswer`]; it asks before each batch whether it still may ([`StillPermitted`])
//! and keeps count of what left ([`AnswerTotals`]).

pub(crate) mod cells;
mod ipc;
mod release;

pub(crate) use cells::{Cell, Subjects, withhold};
pub use ipc::{AnswerTotals, IpcAnswer};
pub use release::{Cut, ReleasedAnswer, ReleasedBatch, StillPermitted};
pub(crate) use release::{RawAnswer, rows_in_a_piece};
