//! Delimited text: CSV and its relatives.

mod header;
mod layout_advice;
mod records;
mod sample;
mod sniff;
mod swallowed;
mod syntax;
mod table;

pub(super) use header::{HeaderFound, guess_header};
pub(super) use sniff::{Layout, sniff};
pub use syntax::Delimiter;
pub(super) use table::{Table, names_given};
