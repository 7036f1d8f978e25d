//! The datasets that one command requests: named one by one, or those of an institution in a file. Those of one collection are one request.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use concordat_documents::problem::Problem;
use concordat_protocol::ids::{DatasetName, DatasetRef, InstitutionId, InvalidName};

use crate::files;

/// Maximum length of a file of datasets, in bytes: the catalog of an institution with all columns of some hundred tables.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The first column of `concordat catalog --format csv`.
const HEADER: &str = "dataset";

/// What is requested: a dataset, or those of an institution that a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One dataset.
    Dataset(DatasetRef),
    /// An institution.
    Institution(InstitutionId),
}

impl FromStr for Target {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.contains(['/', '.']) {
            text.parse().map(Self::Dataset)
        } else {
            text.parse().map(Self::Institution)
        }
    }
}

/// What one request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requested {
    /// A dataset alone, one dataset of a collection, or a collection.
    pub(super) dataset: DatasetRef,
    /// The datasets of the collection, if some are named.
    pub(super) datasets: Option<BTreeSet<DatasetName>>,
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.dataset, f)
    }
}

/// The requests for these datasets: one for each dataset alone, and for each collection. Beside the name of their collection, those of
/// datasets are not needed.
pub(super) fn requests(datasets: Vec<DatasetRef>) -> Vec<Requested> {
    let mut requests: Vec<Requested> = Vec::new();
    for dataset in datasets {
        let collection = dataset.collection();
        let known = requests
            .iter_mut()
            .find(|request| request.dataset.collection() == collection);
        match known {
            None => requests.push(Requested {
                dataset,
                datasets: None,
            }),
            Some(known) => known.extend(dataset),
        }
    }
    requests
}

impl Requested {
    /// Adds a dataset of the same collection.
    fn extend(&mut self, other: DatasetRef) {
        let whole = DatasetRef::only(other.collection());
        if other.is_only() {
            self.dataset = whole;
            self.datasets = None;
        } else if !self.dataset.is_only() {
            let first = std::mem::replace(&mut self.dataset, whole);
            self.datasets = Some(BTreeSet::from([first.dataset, other.dataset]));
        } else if let Some(datasets) = &mut self.datasets {
            datasets.insert(other.dataset);
        }
    }
}

/// The datasets that are meant, each once and in the order in which they are named.
///
/// # Errors
/// `usage` if an institution has no file or a file has no institution, or if the file cannot be read or names none.
pub(super) fn datasets(targets: &[Target], file: Option<&Path>) -> Result<Vec<DatasetRef>, Problem> {
    let named: Vec<DatasetRef> = match (targets, file) {
        ([Target::Institution(institution)], Some(file)) => read(file, institution)?,
        (_, Some(_)) => {
            return Err(
                Problem::usage("`--datasets-from` needs one institution and nothing else")
                    .help("for example `concordat grant request budapest --datasets-from FILE`"),
            );
        }
        (targets, None) => targets.iter().map(of_target).collect::<Result<_, _>>()?,
    };
    let mut datasets: Vec<DatasetRef> = Vec::new();
    for dataset in named {
        if !datasets.contains(&dataset) {
            datasets.push(dataset);
        }
    }
    Ok(datasets)
}

fn of_target(target: &Target) -> Result<DatasetRef, Problem> {
    match target {
        Target::Dataset(dataset) => Ok(dataset.clone()),
        Target::Institution(institution) => {
            let problem = Problem::usage(format!("`{institution}` does not name a dataset"));
            Err(problem.help(
                "write `institution/dataset`, for example `budapest/heart`, or add `--datasets-from FILE` with its datasets",
            ))
        }
    }
}

/// Reads a file with a dataset on each line, or the catalog as it is written with `--format csv`.
fn read(path: &Path, institution: &InstitutionId) -> Result<Vec<DatasetRef>, Problem> {
    let text = files::read_text(path, MAX_FILE)?;
    parse(&text, &path.display().to_string(), institution)
}

fn parse(text: &str, shown: &str, institution: &InstitutionId) -> Result<Vec<DatasetRef>, Problem> {
    let mut datasets = Vec::new();
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1_u64..) {
        let (field, is_csv) = match line.split_once(',') {
            Some((first, _)) => (first.trim(), true),
            None => (line.trim(), false),
        };
        let is_header = is_csv && number == 1 && field == HEADER;
        if field.is_empty() || field.starts_with('#') || is_header {
            continue;
        }
        let invalid = |what: &str| {
            Problem::usage(format!("line {number} of `{shown}` {what}"))
                .help("write the name of a dataset on each line, or use what `concordat catalog --format csv` writes")
        };
        let dataset = of_line(field, institution);
        let dataset = dataset.map_err(|_| invalid("does not begin with the name of a dataset"))?;
        if dataset.institution != *institution {
            return Err(invalid("names a dataset of another institution"));
        }
        datasets.push(dataset);
    }
    if datasets.is_empty() {
        return Err(Problem::usage(format!("`{shown}` names no dataset")));
    }
    Ok(datasets)
}

/// A dataset by its name, or with its institution.
fn of_line(text: &str, institution: &InstitutionId) -> Result<DatasetRef, InvalidName> {
    if text.contains(['/', '.']) {
        return text.parse();
    }
    let dataset: DatasetName = text.parse()?;
    Ok(DatasetRef::alone(institution.clone(), dataset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[DatasetRef]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    fn targets(texts: &[&str]) -> Vec<Target> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn datasets_are_named_one_by_one_or_in_a_file() {
        let found = datasets(&targets(&["budapest/heart", "zurich.labs", "budapest.heart"]), None).unwrap();
        assert_eq!(names(&found), ["budapest.heart", "zurich.labs"]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        std::fs::write(&path, "# of the study\nheart\n\nbudapest/labs\nheart\n").unwrap();
        let found = datasets(&targets(&["budapest"]), Some(&path)).unwrap();
        assert_eq!(names(&found), ["budapest.heart", "budapest.labs"]);
        for (wrong, file) in [
            (&["budapest"][..], None),
            (&["budapest/heart", "zurich"], None),
            (&["budapest/heart"], Some(path.as_path())),
            (&["budapest", "zurich"], Some(path.as_path())),
        ] {
            assert!(datasets(&targets(wrong), file).is_err(), "{wrong:?}");
        }
        assert!("Budapest".parse::<Target>().is_err() && "budapest/".parse::<Target>().is_err());
    }

    #[test]
    fn datasets_of_one_collection_are_one_request() {
        let requested = |texts: &[&str]| -> Vec<String> {
            let requests = requests(datasets(&targets(texts), None).unwrap());
            let text = |request: Requested| match request.datasets {
                None => request.dataset.to_string(),
                Some(datasets) => {
                    let names: Vec<&str> = datasets.iter().map(DatasetName::as_str).collect();
                    format!("{}: {}", request.dataset, names.join(" "))
                }
            };
            requests.into_iter().map(text).collect()
        };
        for (texts, expected) in [
            (&["budapest/omop/person"][..], &["budapest.omop.person"][..]),
            (
                &[
                    "budapest/omop/person",
                    "budapest/heart",
                    "budapest.omop.visit",
                    "budapest.omop.drug",
                ],
                &["budapest.omop: drug person visit", "budapest.heart"],
            ),
            (&["budapest/omop/person", "budapest/omop"], &["budapest.omop"]),
            (&["budapest/omop", "budapest/omop/person"], &["budapest.omop"]),
            (
                &["budapest/omop/person", "zurich/omop/person"],
                &["budapest.omop.person", "zurich.omop.person"],
            ),
        ] {
            assert_eq!(requested(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn catalog_is_a_file_of_datasets() {
        let institution = "budapest".parse().unwrap();
        let read = |text: &str| parse(text, "f", &institution);
        let catalog = "\u{feff}dataset,about_rows,tier,columns\r\nbudapest.heart,300,records,\"age, sex\"\r\n";
        assert_eq!(names(&read(catalog).unwrap()), ["budapest.heart"]);
        // A dataset may have the name of the column, too.
        assert_eq!(names(&read("dataset\n").unwrap()), ["budapest.dataset"]);
        for (text, part) in [
            ("", "names no dataset"),
            ("# none\n", "names no dataset"),
            ("heart\nOur Labs\n", "line 2 of `f` does not begin"),
            ("heart\n\nzurich.labs\n", "line 3 of `f` names a dataset of another"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.detail.contains(part), "{problem:?}");
            assert!(!problem.detail.contains("Our Labs"), "{problem:?}");
        }
    }
}
