//! Sheets of spreadsheets: Excel workbooks and OpenDocument spreadsheets.
//!
//! 1. [`kind`] recognizes a spreadsheet among other zip files.
//! 2. [`layout`] chooses the sheet, and reads it once for the area of its table and for its header.
//! 3. [`table`] reads the rows of this area, which is what both passes do.
//!
//! A file is read at any place, and a sheet row by row: only the shared strings of a workbook, its styles and the current row are in
//! memory. What a file states about its own size is not believed. A value is the text that a CSV file would have for it: numbers with the
//! shortest digits, times as ISO 8601 writes them if their cells show them as times, errors as missing values.
//!
//! The library reads XML, and nothing else (`xml`): one that reads whole spreadsheets allocates what they state
//! (docs/decisions/0054).

mod book;
mod damage;
mod kind;
mod layout;
mod ods;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod xlsx;
mod xml;

pub(super) use kind::kind_of;
pub(super) use layout::{Layout, find};
pub(super) use table::Table;
