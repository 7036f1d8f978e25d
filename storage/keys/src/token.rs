//! Which key of which PKCS#11 token, and why it could not be used.

mod error;
mod location;

pub use error::TokenError;
pub use location::TokenLocation;
