//! Files and folders that are durable when a call returns and private to their owner.

mod durable;
mod private;

pub use durable::{create_dir_private, sync_dir, write_private};
pub use private::{PrivateFileError, read_private};
