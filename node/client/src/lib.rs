//! The client of a daemon's API, for the command line and other programs.
//!
//! [`Client`] sends a document to the socket in the data directory and reads the document that is returned, or the problem. What a
//! route accepts and returns is in [`concordat_documents`]. Two routes are different: an import sends a file ([`Reading`]) or a folder
//! ([`Folder`]) and is answered line by line ([`Lines`]); an answer to a query is a stream of bytes ([`Chunks`]), which its reader decodes.
//!
//! This crate knows neither the engine nor the network, and decides nothing.

mod chunks;
mod client;
mod folder;
mod lines;
mod path;
mod reading;
mod response;

pub use chunks::Chunks;
pub use client::Client;
pub use folder::{Folder, IsTable};
pub use lines::Lines;
pub use path::segment;
pub use reading::Reading;
