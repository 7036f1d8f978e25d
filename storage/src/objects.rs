//! Where sealed objects lie: in the data directory, or in an S3-compatible store when one machine is not enough.
//!
//! What is above does not notice: it sees an [`object_store::ObjectStore`] either way, and only sealed bytes go into it.
//!
//! 1. An [`ObjectPlace`] says where; [`S3Place`] is all that has to be known of a store. Its key lies in a file of its own
//!    ([`credentials`]), is read when it is needed and read again when the file changes.
//! 2. Before anything else is read, written or removed there, the place must bear the ownership marker ([`ownership`]) of this
//!    data directory, a random number that it alone knows. A place with another number belongs to another node and is not touched, because
//!    whatever this node does not know would look like rubbish to it.
//! 3. A place that bears no number yet is taken if it holds every object that the state names. So a bucket can be filled by
//!    any tool that copies files, and a mistyped name is noticed.
//! 4. What the store answers is bounded before it is read ([`response`]).
//! 5. Errors of the store become [`PlaceError`]s, which say what to do.

mod connection;
mod credentials;
mod durable;
mod error;
mod ownership;
mod place;
mod remote;
mod response;
mod upload;

pub use durable::DurableStore;
pub use error::{CredentialsError, PlaceError, StoreReply};
pub use ownership::UnknownObjects;
pub use place::{Endpoint, InvalidPlace, ObjectPlace, PlainHttp, Region, S3Place, S3Url};

pub use credentials::check as check_credentials;

pub(crate) use connection::Connection;
pub(crate) use ownership::{OwnershipMarker, RequiredObjects};
pub(crate) use remote::RemoteStore;
pub(crate) use upload::RemoteUpload;

#[cfg(test)]
mod tests;
