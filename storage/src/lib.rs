//! How data is stored, queried and released. Everything at rest is sealed here, and every answer is released here.
//!
//! The modules, in order; each uses only those before it:
//!
//! 1. Files are durable and private ([`fs`]), and keys are unlocked ([`keys`]).
//! 2. Objects are stored locally or in a remote store ([`objects`]), and they are always sealed ([`seal`]). Small state is sealed
//!    too ([`meta`]), and every decision is recorded ([`ledger`]).
//! 3. Data is imported ([`ingest`]). A permit opens the [`engine`] once, and only a released answer leaves it, as a stream of
//!    rows ([`arrow_stream`]).
//! 4. Datasets and their immutable versions are in the [`catalog`]. [`data_dir::Storage`] opens the data directory and gives
//!    access to its parts; [`backup`] saves and restores it.
//!
//! This crate never decides who may query. The node does.

pub mod fs;
pub mod keys;

pub mod objects;
pub mod seal;

pub mod ledger;
pub mod meta;

pub use concordat_arrow_stream as arrow_stream;
pub mod engine;
pub mod ingest;

pub mod backup;
pub mod catalog;
pub mod data_dir;

#[cfg(test)]
mod fault_injection;
#[cfg(test)]
mod vectors;
