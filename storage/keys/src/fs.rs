//! Files and folders that are durable when a call returns and private to their owner. What is read is a regular file, and not longer
//! than expected.

mod durable;
mod lock;
mod private;
mod real;
mod regular;
mod unnamed;

pub use durable::{create_dir_private, sync_dir, write_private};
pub use lock::lock_exclusive;
pub use private::{PrivateFileError, read_private};
pub use real::real_path;
pub use regular::{append_to_regular, open_or_create_regular, open_regular, read_regular, read_regular_text};
pub use unnamed::unnamed_private;
