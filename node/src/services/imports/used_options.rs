//! The options of an import: those of the request, or those that the import before has kept.

use concordat_documents::import::{ImportMode, ImportOptions, ReadingOptions};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::DatasetName;

use super::view::kept_options;
use crate::node::Node;
use crate::services::run::blocking;

/// The options of an import: those in use, and those of them that are from the import before.
pub(super) struct UsedOptions {
    pub(super) reading: ReadingOptions,
    pub(super) kept: ReadingOptions,
}

impl UsedOptions {
    /// What the steward should know about them.
    pub(super) fn notes(&self) -> Vec<String> {
        let in_use = self.reading.flags();
        let kept: Vec<String> = self
            .kept
            .flags()
            .into_iter()
            .filter(|flag| in_use.contains(flag))
            .collect();
        let note = || {
            format!(
                "options of the import before are in use: `{}`; `--without-kept-options` leaves them out",
                kept.join(" ")
            )
        };
        (!kept.is_empty()).then(note).into_iter().collect()
    }
}

/// The options that the latest import of the dataset has kept, if they are to be used.
pub(super) async fn kept(
    node: &Node,
    dataset: &DatasetName,
    options: &ImportOptions,
) -> Result<ReadingOptions, Problem> {
    if options.mode == ImportMode::Create || options.without_kept_options {
        return Ok(ReadingOptions::default());
    }
    let dataset = dataset.clone();
    let latest = blocking(node, move |node| {
        node.storage().catalog().datasets().latest_import(&dataset)
    })
    .await?;
    Ok(latest.map(|latest| kept_options(&latest.options)).unwrap_or_default())
}

/// Adds to a problem that options were in use which this request does not state.
pub(super) fn with_kept(problem: Problem, kept: &ReadingOptions) -> Problem {
    if *kept == ReadingOptions::default() || problem.code != ErrorKind::Usage || problem.help.is_some() {
        return problem;
    }
    problem.help("options of the import before are in use; `--without-kept-options` leaves them out")
}
