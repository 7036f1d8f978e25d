//! NDJSON: a JSON object on each line.
//!
//! 1. [`keys`] reads all lines once for the names that occur in the objects, in the order in which they first occur: they are
//!    the columns. A name that a line lacks is a missing value there, as is `null`.
//! 2. [`table`] reads the lines again as rows. [`object`] checks each line strictly, and a line that it does not accept is a
//!    refused row; accepted lines are decoded by Arrow's reader, every value as the text that the line has for it.
//!
//! Arrow's reader alone would not do: it accepts text that is not JSON, ends at the first error, and takes the last value of
//! a name that occurs twice.

mod check;
mod columns;
mod keys;
mod lines;
mod object;
mod table;
#[cfg(test)]
mod tests;

pub(super) use keys::find_keys;
pub(super) use table::Table;
