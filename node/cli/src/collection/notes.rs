//! `concordat collection notes`: what the steward should know about the latest import of each dataset of a collection.

use concordat_documents::Items;
use concordat_documents::import::{DatasetNotes, grouped};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::CollectionName;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Column, Format};
use concordat_client::Client;

const NOTES: [Column; 3] = [("dataset", "dataset"), ("version", "version"), ("note", "note")];
/// Most notes that are shown: with the line below them they fit on a screen, as those after an import do.
pub(super) const SHOWN_NOTES: usize = 20;

/// A note as a line of a table.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    dataset: String,
    version: String,
    note: String,
}

/// At most a screen of notes, those of all columns with the same one together; with `all` each of them.
pub(super) async fn run(name: &CollectionName, all: bool, client: &Client, context: &Context) -> Result<(), Problem> {
    let found: Items<DatasetNotes> = client.get(&format!("/v1/collections/{name}/notes")).await?;
    let out = &context.out;
    match out.format() {
        Format::Json => out.record(&found),
        Format::Csv => out.list(&lines(&found.items, true), &NOTES),
        Format::Table => {
            let mut lines = lines(&found.items, all);
            let more = if all {
                0
            } else {
                lines.len().saturating_sub(SHOWN_NOTES)
            };
            lines.truncate(lines.len() - more);
            out.list(&lines, &NOTES)?;
            if more > 0 {
                out.note(&more_notes(more, name));
            }
            Ok(())
        }
    }
}

/// That there are more notes, and how they are listed.
pub(super) fn more_notes(more: usize, name: &CollectionName) -> String {
    format!("and {more} more notes: see `concordat collection notes {name} --all`")
}

/// The notes of datasets as lines; those that are alike are one line unless each is to be shown.
fn lines(datasets: &[DatasetNotes], each: bool) -> Vec<Line> {
    let of_dataset = |dataset: &DatasetNotes| {
        let notes = if each {
            dataset.notes.clone()
        } else {
            grouped(&dataset.notes)
        };
        let (name, version) = (dataset.dataset.to_string(), dataset.version.to_string());
        notes.into_iter().map(move |note| Line {
            dataset: name.clone(),
            version: version.clone(),
            note,
        })
    };
    datasets.iter().flat_map(of_dataset).collect()
}

#[cfg(test)]
mod tests {
    use concordat_documents::import::ReadingOptions;
    use concordat_protocol::ids::DatasetName;
    use concordat_protocol::schema::VersionNumber;

    use super::*;

    #[test]
    fn notes_of_a_collection_are_grouped_or_each_listed() {
        let notes = [
            "column `a` has no values",
            "column `b` has no values",
            "3 blank lines were skipped",
        ];
        let person = DatasetNotes {
            dataset: DatasetName::new("person").unwrap(),
            version: VersionNumber::FIRST,
            notes: notes.iter().map(ToString::to_string).collect(),
            reading: ReadingOptions::default(),
        };
        let datasets = [person];
        assert_eq!((lines(&datasets, false).len(), lines(&datasets, true).len()), (2, 3));
        assert!(lines(&datasets, true).iter().all(|line| line.dataset == "person"));
        let more = more_notes(3, &CollectionName::new("omop").unwrap());
        assert!(more.contains("concordat collection notes omop --all"), "{more}");
    }
}
