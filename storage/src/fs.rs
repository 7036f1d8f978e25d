//! Files and folders that are durable when a call returns, private to their owner, and never reached through a link that
//! another user created. What is read is a regular file, and not longer than expected.

mod beneath;
mod durable;
mod private;
mod regular;

pub use beneath::open_beneath;
pub use durable::{create_dir_private, sync_dir, write_private};
pub(crate) use private::{PrivateFileError, read_private};
pub use regular::{open_regular, read_regular, read_regular_text};
