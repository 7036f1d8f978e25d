//! How data is stored. Everything at rest is sealed here, with keys of `concordat-keys`.
//!
//! The modules, in order; each uses only those before it:
//!
//! 1. Files that others may have written are opened without leaving their folder ([`beneath`]). Logs are files of records
//!    ([`frames`]).
//! 2. Objects are stored locally or in a remote store ([`objects`]), and they are always sealed ([`seal`]). Small state is sealed
//!    too ([`meta`]), and every decision is recorded ([`ledger`]).
//! 3. Data is imported ([`ingest`]), and its [`subjects`] are numbered.
//! 4. What was answered below tier `records` is in sealed logs ([`answers`]).
//! 5. Datasets and their immutable versions are in the [`catalog`]. [`data_dir::Storage`] opens the data directory and gives
//!    access to its parts; [`backup`] saves and restores it.
//!
//! This crate answers no query: `concordat-engine` reads a version and releases what a permit covers. Neither decides who may query. The
//! node does.

pub mod beneath;
mod frames;

pub mod objects;
pub mod seal;

pub mod ledger;
pub mod meta;

pub mod ingest;
pub mod subjects;

pub mod answers;

pub mod backup;
pub mod catalog;
pub mod data_dir;

#[cfg(test)]
mod fault_injection;
