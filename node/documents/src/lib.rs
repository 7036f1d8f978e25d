//! The JSON documents of the HTTP API: what its routes accept and return, as types.
//!
//! The daemon writes these types, and the client, the command line and every later front end read them, so that a field cannot be
//! spelled in two ways. Each noun of the API has a module. A route describes itself by the types of its documents; [`openapi`]
//! makes the OpenAPI document of these descriptions.
//!
//! Times are text in RFC 3339, in UTC. Binary data is base64. Identifiers are in their text form. Lists are in `items`, but for
//! that of the grants.
//!
//! This crate contains no behavior, except for the sentence about a document that cannot be parsed ([`parse_message`]) and for which files
//! are tables by their names ([`collection::table_of`]): what the documents say is decided in the node.

pub mod audit;
pub mod backup;
pub mod collection;
pub mod consortium;
pub mod dataset;
pub mod decision;
pub mod evidence;
pub mod grant;
pub mod import;
pub mod key;
pub mod openapi;
pub mod parse_message;
pub mod policy;
pub mod problem;
pub mod query;
pub mod secret;
pub mod session;
pub mod status;
pub mod user;
pub mod why;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The socket of the daemon's API, below the data directory.
pub const SOCKET: &str = "run/api.sock";

/// A list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items<T> {
    /// Its elements.
    pub items: Vec<T>,
}

impl<T> FromIterator<T> for Items<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
        }
    }
}

/// The body of a request that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}
