//! Delimited text: CSV and its relatives.

mod records;
mod sniff;
mod table;

pub(super) use sniff::{Layout, sniff};
pub(super) use table::Table;
