//! Apache Parquet.
//!
//! A Parquet file states many lengths: of its footer, of lists in it, of pages before and after their compression, of values
//! in dictionaries. The library that reads it allocates memory as these lengths state. So each of them is checked first:
//!
//! 1. [`footer`]: the footer is read up to a limit, [`thrift`] walks through its structure without building anything, and only
//!    then the library decodes it. Types that cannot be imported are refused by the name of their column.
//! 2. [`pages`]: the library reads a page through a reader that has checked the header of the page, and gets no more bytes than
//!    this header states. All pages that are open at a time are limited together.
//! 3. [`cells`]: values are decoded a few at a time from the one page of each column that is open, and written as the text that
//!    a CSV file would have ([`text`]).
//! 4. [`table`]: the rows.
//!
//! The library is of the same origin as Arrow, and panics for some damaged files: a panic of it is a damaged file here
//! ([`damage`]).

mod cells;
mod damage;
mod footer;
mod header;
mod pages;
mod schema;
mod shapes;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod thrift;

pub(super) use table::Table;
