//! Compressed files, and archives: what they are, and their contents as streams.
//!
//! A file is recognized by its first bytes and never by its name. Its contents are unpacked as they are read, in bounded memory, and
//! nothing is written anywhere. [`Allowance`] ends the reading of a file that unpacks to far more than a table could. What is inside of a
//! compressed file is not unpacked once more.

mod allowance;
pub(super) mod archive;
mod decoder;
mod kind;
mod single;
pub(super) mod tar;

pub(super) use allowance::{Allowance, Excess};
pub(super) use archive::{Archive, ArchiveError};
pub(super) use decoder::{Unpacked, decode, needs_more_memory};
pub use kind::Compression;
pub(super) use kind::MAX_DECODER_BYTES;
pub(super) use single::{archive_error, only_file};
pub(super) use tar::{TAR_START, TarReader, is_tar};
