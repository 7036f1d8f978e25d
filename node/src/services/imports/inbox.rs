//! Where the bytes of an import come from: they were sent, or the node reads them below an inbox of its configuration.

use std::io;
use std::path::Path;

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_storage::beneath::open_beneath;
use concordat_storage::ingest::{Source, Upload};

use crate::config::ImportSection;

/// The bytes that were sent, or the file in an inbox.
pub(super) fn source(
    inbox: Option<&Path>,
    name: &str,
    upload: Upload,
    config: &ImportSection,
) -> Result<Source, Problem> {
    match inbox {
        None => Ok(Source::sent(name, upload)),
        Some(_) if !upload.is_empty() => Err(Problem::usage("a file in an inbox was named, and bytes were sent too")),
        Some(path) => in_inbox(config, path),
    }
}

/// Opens a file below an inbox; symbolic links that lead out of the inbox are not followed.
fn in_inbox(config: &ImportSection, path: &Path) -> Result<Source, Problem> {
    let shown = path.display();
    let found = config.inboxes.iter().find_map(|inbox| inbox.of(path));
    let Some((inbox, below)) = found else {
        return Err(
            Problem::new(ErrorKind::Denied, format!("`{shown}` is not in an inbox of this node"))
                .help("send the file with `--from`; an administrator can configure inboxes as `import.inboxes`"),
        );
    };
    match open_beneath(inbox, below) {
        Ok(file) => Ok(Source::opened(path, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Problem::new(ErrorKind::NotFound, format!("there is no file `{shown}`")))
        }
        Err(error) => Err(Problem::usage(format!("`{shown}` cannot be imported: {error}"))),
    }
}
