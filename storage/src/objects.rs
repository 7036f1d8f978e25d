//! Where sealed objects are stored: in the data directory, or in an S3-compatible store when one machine is not enough.
//!
//! The layers above do not depend on it: they use an [`object_store::ObjectStore`] either way, and only sealed bytes go into it.
//!
//! 1. An [`ObjectLocation`] names the location; [`S3Location`] has all the settings of a remote store. Its key is in a separate
//!    file ([`credentials`]), which is read when it is needed and read again when it changes.
//! 2. Before anything else is read, written or removed there, the location must have the ownership marker ([`ownership`]) of
//!    this data directory, a random number that no other data directory has. A location with another marker belongs to another
//!    node and is not changed: objects that this node does not know would otherwise be removed as orphans.
//! 3. A location without a marker gets the marker of this data directory if it has every object that the state names. So a bucket
//!    can be filled by any tool that copies files, and a mistyped name is detected.
//! 4. Responses of the store are limited in size before they are read ([`response`]).
//! 5. Files of the data directory are opened only if they are regular, and without following links ([`local_files`]).
//! 6. Errors of the store become [`LocationError`]s, which state what to do.

mod connection;
mod credentials;
mod durable;
mod error;
mod local_files;
mod location;
mod ownership;
mod remote;
mod response;
mod upload;

pub use durable::DurableStore;
pub use error::{CredentialsError, LocationError, StoreReply};
pub use location::{Endpoint, InvalidLocation, ObjectLocation, PlainHttp, Region, S3Location, S3Url};
pub use ownership::UnknownObjects;

pub use credentials::check as check_credentials;

pub(crate) use connection::Connection;
pub(crate) use ownership::{OwnershipMarker, RequiredObjects};
pub(crate) use remote::RemoteStore;
pub(crate) use upload::RemoteUpload;

#[cfg(test)]
pub(crate) mod tests;
