//! How data is kept, asked and released. Everything at rest is sealed here; every answer leaves from here.
//!
//! In the order of the story: keys unlock ([`keys`]), objects and state are sealed ([`seal`], [`meta`]), the objects lie here or
//! in a store elsewhere ([`objects`]), data comes in
//! ([`ingest`]) and becomes immutable versions ([`catalog`]), every decision is written down ([`ledger`]), a [`permit`] opens
//! the [`query`] engine once, and [`disclosure`] decides what may leave. [`storage::Storage`] opens
//! the data directory and hands out the parts; [`backup`] saves and restores it.
//!
//! What this crate does not do: it never decides who may ask. That is the node's part.

pub mod arrow_stream;
pub mod backup;
pub mod catalog;
pub mod disclosure;
pub mod fault;
pub mod fs;
pub mod ingest;
pub mod keys;
pub mod ledger;
pub mod meta;
pub mod objects;
pub mod permit;
pub mod query;
pub mod seal;
pub mod storage;

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod vectors;
