//! The labels of keyed hashes, which never change: with another label each released figure would have other noise, and both together less.

/// Sum of record keys to the key of the cell, under the collection's secret.
pub(super) const CELL_KEY: &[u8] = b"concordat/1 cell key";
/// Cell key to what is added to the threshold.
pub(super) const THRESHOLD: &[u8] = b"concordat/1 cell threshold";
/// Cell key to the draw of the deviation of a count.
pub(super) const COUNT: &[u8] = b"concordat/1 cell count";
/// Cell key to the direction in which a count halfway between two multiples is rounded.
pub(super) const ROUNDING: &[u8] = b"concordat/1 cell rounding";
/// Cell key to the draw of the noise of a mean.
pub(super) const MEAN: &[u8] = b"concordat/1 cell mean";
/// Cell key to the draw of the noise of a count of rows.
pub(super) const ROWS: &[u8] = b"concordat/1 cell rows";
/// Cell key to the position among sets of one size.
pub(super) const ORDER: &[u8] = b"concordat/1 cell order";
