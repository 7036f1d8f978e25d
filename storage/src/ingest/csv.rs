//! Delimited text: CSV and its relatives.

mod records;
mod sniff;
mod syntax;
mod table;

pub(super) use sniff::{HeaderFound, Layout, sniff};
pub use syntax::Delimiter;
pub(super) use table::Table;
