//! What becomes of a cast that can fail on a value.

/// What becomes of a cast that the query wrote and that can fail on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casts {
    /// The answer ends with an error: at tier `records`, and on the consumer's node.
    Strict,
    /// The query is refused: below tier `records`, where the error would reveal the value.
    Refused,
}
