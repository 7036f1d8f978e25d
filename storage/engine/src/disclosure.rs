//! What may be released.
//!
//! Everything that is released is a [`ReleasedAnswer`]; before each batch it checks whether it is still permitted
//! ([`StillPermitted`]), and it counts what was released ([`AnswerTotals`]). Which cells of statistics are released is decided before that, in
//! `decision`.

mod ipc;
mod release;

pub use ipc::{AnswerTotals, IpcAnswer, ReleasedChunk};
pub use release::{Cut, ReleasedAnswer, ReleasedBatch, StillPermitted};
pub(crate) use release::{RawAnswer, RawBatch, rows_in_a_chunk, rows_in_whole_chunks, slice_bytes};
