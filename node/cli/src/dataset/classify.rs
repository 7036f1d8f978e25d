//! `concordat dataset classify`: the classes of columns, by name, by pattern and from a file.
//!
//! What a steward states is resolved to columns here, once: the node gets the class of each column by its name.

mod assignment;
mod list;
mod pattern;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use concordat_documents::collection::{Collection, NewRules, WithheldColumns};
use concordat_documents::dataset::{Dataset, DatasetColumn, NewClasses};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::schema::ColumnClass;

use self::assignment::{Assignment, assignment, resolved};
use crate::context::Context;
use crate::files;
use crate::withheld::{listed, withheld_note};
use concordat_client::Client;

/// Maximum length of a template file in bytes, as the node accepts it.
const MAX_TEMPLATE: u64 = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The dataset
    name: DatasetName,
    /// COLUMN=CLASS, one for each column; in a column, `*` stands for any characters and `?` for one, and a name takes precedence
    #[arg(
        required_unless_present_any = ["from", "template"],
        value_name = "COLUMN=CLASS",
        value_parser = assignment
    )]
    classes: Vec<Assignment>,
    /// Read classes from a CSV file whose first line is `column,class`, or from a template file (`.toml`)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Write such a file with all columns and the classes that they have, and change nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["classes", "from"])]
    template: Option<PathBuf>,
}

pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Problem> {
    let Args {
        name,
        classes: mut assignments,
        from,
        template,
    } = args;
    if let Some(file) = from.as_deref().filter(|file| is_template(file)) {
        if !assignments.is_empty() {
            return Err(Problem::usage("classes are stated, and a template too").help("state them in the template"));
        }
        return by_template(&name, file, client, context).await;
    }
    if let Some(file) = &from {
        assignments.extend(list::read(file)?);
    }
    let path = format!("/v1/datasets/{name}");
    let dataset: Dataset = client.get(&path).await?;
    if let Some(file) = &template {
        files::write(file, list::template(&dataset).as_bytes())?;
        let count = dataset.columns.len();
        let sentence = format!("{count} columns of {name} are listed in `{}`", file.display());
        return context.out.done(&sentence, &dataset);
    }
    let new = NewClasses {
        classes: resolved(&assignments, &dataset)?,
    };
    let dataset: Dataset = client.post(&format!("{path}/classify"), &new).await?;
    let notes = [unclassified(&dataset), withheld(&dataset, &new.classes)];
    for note in notes.into_iter().flatten() {
        context.out.note(&note);
    }
    let count = new.classes.len();
    context
        .out
        .done(&format!("{count} columns of {name} classified"), &dataset)
}

/// Whether a file is a template by its name.
fn is_template(file: &Path) -> bool {
    file.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"))
}

/// Declares what a template states, for the dataset and its columns by name or pattern.
async fn by_template(name: &DatasetName, file: &Path, client: &Client, context: &Context) -> Result<(), Problem> {
    let new = NewRules {
        template: files::read_text(file, MAX_TEMPLATE)?,
        replace: false,
    };
    let declared: Collection = client.post(&format!("/v1/collections/{name}/rules"), &new).await?;
    let left: u64 = declared.datasets.iter().map(|dataset| dataset.unclassified).sum();
    if left > 0 {
        context.out.note(&format!("{left} columns of {name} have no class yet"));
    }
    let names: Vec<String> = declared.withheld.iter().flat_map(WithheldColumns::names).collect();
    if let Some(note) = withheld_note(&names) {
        context.out.note(&note);
    }
    let sentence = format!("what `{}` declares about {name} applies", file.display());
    context.out.done(&sentence, &declared)
}

/// The columns that have no class yet.
fn unclassified(dataset: &Dataset) -> Option<String> {
    let without = dataset.columns.iter().filter(|column| column.class.is_none());
    let names: Vec<String> = without.map(|column| format!("`{}`", column.name)).collect();
    let count = names.len();
    (count > 0).then(|| {
        format!(
            "{count} columns of {} have no class yet: {}",
            dataset.name,
            listed(&names)
        )
    })
}

/// The columns that were classified as quasi-identifiers and cannot be generalized.
fn withheld(dataset: &Dataset, classified: &BTreeMap<ColumnName, ColumnClass>) -> Option<String> {
    let is_withheld = |column: &&DatasetColumn| {
        let class = classified.get(&column.name);
        class == Some(&ColumnClass::QuasiIdentifier) && column.generalization.is_none()
    };
    let columns = dataset.columns.iter().filter(is_withheld);
    let names: Vec<String> = columns
        .map(|column| format!("`{}` ({})", column.name, column.kind))
        .collect();
    withheld_note(&names)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::testing::dataset;
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn classes_are_named_or_read_from_a_file() {
        let read = |words: &[&str]| Line::try_parse_from([&["x", "wide"], words].concat());
        assert_eq!(read(&["a=ordinary", "b*=sensitive"]).unwrap().args.classes.len(), 2);
        assert!(read(&["--from", "f.csv"]).unwrap().args.classes.is_empty());
        assert_eq!(read(&["a=ordinary", "--from", "f.csv"]).unwrap().args.classes.len(), 1);
        assert!(read(&["--template", "f.csv"]).is_ok());
        assert!(read(&[]).is_err());
        for wrong in [
            &["a=secret"][..],
            &["a"],
            &["a=ordinary", "--template", "f.csv"],
            &["--from", "f.csv", "--template", "g.csv"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn columns_without_a_class_are_counted_and_the_first_named() {
        let names: Vec<String> = (0..25).map(|number| format!("c{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut dataset = dataset(&names);
        let note = unclassified(&dataset).unwrap();
        assert!(
            note.starts_with("25 columns of wide have no class yet: `c0`, "),
            "{note}"
        );
        assert!(note.ends_with(", `c19` and 5 more"), "{note}");
        for column in &mut dataset.columns {
            column.class = Some(ColumnClass::Ordinary);
        }
        assert_eq!(unclassified(&dataset), None);
    }

    #[test]
    fn quasi_identifier_that_no_one_sees_is_noted() {
        let mut dataset = dataset(&["postcode", "seen", "ward"]);
        dataset.columns[1].generalization = Some("generalized to year".to_owned());
        let classified = |class: ColumnClass| {
            let names = dataset.columns.iter().map(|column| (column.name.clone(), class));
            withheld(&dataset, &names.collect())
        };
        let note = classified(ColumnClass::QuasiIdentifier).unwrap();
        assert!(note.contains("`postcode` (text), `ward` (text);"), "{note}");
        assert!(!note.contains("`seen`") && note.contains("--date-format"), "{note}");
        for other in [
            ColumnClass::DirectIdentifier,
            ColumnClass::Sensitive,
            ColumnClass::Ordinary,
        ] {
            assert_eq!(classified(other), None);
        }
    }
}
