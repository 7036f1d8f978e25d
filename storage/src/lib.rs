//! How data is kept, asked and released. Everything at rest is sealed here; every answer leaves from here.
//!
//! In the order of the story, which is the order of the modules: each uses only those before it.
//!
//! 1. Files are made durable and private ([`fs`]), and keys unlock ([`keys`]).
//! 2. Objects lie here or in a store elsewhere ([`objects`]), and what lies there is sealed ([`seal`]). Small state is sealed
//!    too ([`meta`]), and every decision is written down ([`ledger`]).
//! 3. Data comes in ([`ingest`]). A permit opens the [`engine`] once, and only a released answer leaves it, as a stream of
//!    rows ([`arrow_stream`]).
//! 4. Datasets and their immutable versions are the [`catalog`]. [`data_dir::Storage`] opens the data directory and hands out the
//!    parts; [`backup`] saves and restores it.
//!
//! What this crate does not do: it never decides who may ask. That is the node's part.

pub mod error_kind;

pub mod fs;
pub mod keys;

pub mod objects;
pub mod seal;

pub mod ledger;
pub mod meta;

pub mod arrow_stream;
pub mod engine;
pub mod ingest;

pub mod backup;
pub mod catalog;
pub mod data_dir;

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod vectors;
