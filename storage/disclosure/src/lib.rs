//! What may be released of statistics below tier `records`: a pure computation over sets of subjects.
//!
//! The crate decides; it does not read data, clocks, files or randomness by itself: sets of units come in, and randomness comes from an
//! [`Entropy`]. Terms, and the reasons for the method, are in the [design](../../../docs/design/statistics.md), section 5.
//!
//! In the order of an answer:
//!
//! 1. sets of units, and which figures about few subjects follow from the sets that were released before;
//! 2. noise: deviations that depend on the set, and exact samplers of discrete distributions;
//! 3. dominance of few contributions, and the loss of privacy that is spent;
//! 4. the decision about the cells of one answer, what is remembered of it, and at which times it may leave.
//!
//! What it does not do: it computes no aggregates, stores nothing, and knows neither people nor grants.

mod answer;
mod bases;
mod boxes;
mod cells;
mod dominance;
mod encoding;
mod entropy;
mod epochs;
mod exponential;
mod field;
mod interval;
mod loss;
mod perturbation;
mod random;
mod records;
mod sampling;
mod space;
mod time_class;
mod tokens;
mod unit_set;

pub use answer::{AnswerError, Mode, Precision, Released, ReleasedColumn, Value};
pub use boxes::{CellBox, CellBoxError, Condition, Neighbors, Part, Wider};
pub use cells::{
    AnsweredFigures, CellKeys, Counted, DecideError, Decision, DisclosureRules, FigureName, Grid, NeighborSets,
    NewRecords, Outline, PartSet, ReleasedSum, ReleasedSums, ReportedRows, ReportedSet, ReportedSum, RowSpace,
    SetFigures, SetName, SetPart, SetVerdict, Spaces, SumOutline, WiderSet, decide, draw,
};
pub use dominance::{Contributions, Dominance, DominanceError, InvalidClip, Magnitude, RealClip, WholeClip};
pub use entropy::Entropy;
pub use epochs::{Epoch, Epochs, EpochsError};
pub use interval::{IntervalCheck, check_intervals};
pub use loss::{Epsilon, LossBudget, Portion, Reserved, Spent, half_width};
pub use perturbation::{
    CellKey, CellSecret, InvalidScale, KeySum, Measured, Noisy, Perturbation, Scale, TableError, variance,
};
pub use records::{Known, Record, RecordError, Replay, ReplayError, SpaceLimits, StoredAnswer};
pub use sampling::{Gaussian, GaussianError};
pub use space::{
    Neighbor, Offer, Offered, OwnersOf, ReleasedSet, Space, SpaceError, SpaceParameters, Themselves, Verdict,
};
pub use time_class::TimeClass;
pub use tokens::RecordKeys;
pub use unit_set::{UnitSet, UnitSetError};

#[cfg(test)]
mod tests;
