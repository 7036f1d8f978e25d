//! Classes as a steward states them, and the columns that they are for.

use std::collections::BTreeMap;

use concordat_documents::dataset::Dataset;
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{ColumnName, InvalidName};
use concordat_protocol::schema::{ColumnClass, InvalidClass};

use super::pattern::Pattern;

/// The class of one column, or of all whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    columns: Columns,
    class: ColumnClass,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Columns {
    Name(ColumnName),
    Matching(Pattern),
}

impl Assignment {
    /// What the texts of columns and class mean.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub(super) fn new(columns: &str, class: &str) -> Result<Self, String> {
        let class = class.parse().map_err(|error: InvalidClass| error.to_string())?;
        let columns = match Pattern::new(columns) {
            Some(pattern) => Columns::Matching(pattern),
            None => Columns::Name(columns.parse().map_err(|error: InvalidName| error.to_string())?),
        };
        Ok(Self { columns, class })
    }
}

/// Reads `COLUMN=CLASS`.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn assignment(text: &str) -> Result<Assignment, String> {
    let parts = text
        .split_once('=')
        .filter(|(column, class)| !column.is_empty() && !class.is_empty());
    let (column, class) =
        parts.ok_or("write it as COLUMN=CLASS, such as `age=quasi-identifier` or `lab_*=ordinary`")?;
    Assignment::new(column, class)
}

/// The class of each column of `dataset` that the assignments name or match. A name takes precedence over patterns.
///
/// # Errors
/// `usage` if a column does not exist, no column matches a pattern, or a column would have two classes.
pub(super) fn resolved(
    assignments: &[Assignment],
    dataset: &Dataset,
) -> Result<BTreeMap<ColumnName, ColumnClass>, Problem> {
    let mut classes = named(assignments, dataset)?;
    for (column, class) in matched(assignments, dataset, &classes)? {
        classes.insert(column, class);
    }
    Ok(classes)
}

/// The classes of the columns that are named, without regard to case as in a query: no two columns of a dataset differ in case only.
fn named(assignments: &[Assignment], dataset: &Dataset) -> Result<BTreeMap<ColumnName, ColumnClass>, Problem> {
    let mut classes: BTreeMap<ColumnName, ColumnClass> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, class) in assignments.iter().filter_map(Assignment::name) {
        let lower = name.as_str().to_lowercase();
        let mut columns = dataset.columns.iter().map(|column| &column.name);
        let Some(column) = columns.find(|column| column.as_str().to_lowercase() == lower) else {
            unknown.push(format!("`{name}`"));
            continue;
        };
        if let Some(before) = classes.insert(column.clone(), class).filter(|before| *before != class) {
            let detail = format!("`{column}` is to be {before} and {class}");
            return Err(Problem::usage(detail).help("state one of the two"));
        }
    }
    if unknown.is_empty() {
        return Ok(classes);
    }
    let dataset = &dataset.name;
    let detail = format!("dataset `{dataset}` has no column {}", unknown.join(", "));
    Err(Problem::usage(detail).help(format!("`concordat dataset show {dataset}` lists its columns")))
}

/// The classes of the columns that match a pattern and are not among `named`.
fn matched(
    assignments: &[Assignment],
    dataset: &Dataset,
    named: &BTreeMap<ColumnName, ColumnClass>,
) -> Result<Vec<(ColumnName, ColumnClass)>, Problem> {
    let patterns: Vec<(&Pattern, ColumnClass)> = assignments.iter().filter_map(Assignment::pattern).collect();
    let names = || dataset.columns.iter().map(|column| &column.name);
    let is_unmatched = |pattern: &Pattern| !names().any(|name| pattern.matches(name.as_str()));
    if let Some((pattern, _)) = patterns.iter().find(|(pattern, _)| is_unmatched(pattern)) {
        let name = &dataset.name;
        return Err(
            Problem::usage(format!("no column of dataset `{name}` matches `{pattern}`"))
                .help(format!("`concordat dataset show {name}` lists its columns")),
        );
    }
    let mut classes = Vec::new();
    for column in names().filter(|column| !named.contains_key(*column)) {
        let mut matching = patterns.iter().filter(|(pattern, _)| pattern.matches(column.as_str()));
        let Some((pattern, class)) = matching.next() else {
            continue;
        };
        if let Some((other, second)) = matching.find(|(_, second)| second != class) {
            let detail = format!(
                "`{column}` matches `{pattern}`, which is to be {class}, and `{other}`, which is to be {second}"
            );
            return Err(Problem::usage(detail).help(format!(
                "name the column itself, which takes precedence over patterns: `{column}=CLASS`"
            )));
        }
        classes.push((column.clone(), *class));
    }
    Ok(classes)
}

impl Assignment {
    fn name(&self) -> Option<(&ColumnName, ColumnClass)> {
        match &self.columns {
            Columns::Name(name) => Some((name, self.class)),
            Columns::Matching(_) => None,
        }
    }

    fn pattern(&self) -> Option<(&Pattern, ColumnClass)> {
        match &self.columns {
            Columns::Name(_) => None,
            Columns::Matching(pattern) => Some((pattern, self.class)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::dataset;
    use super::*;

    #[test]
    fn class_assignment_needs_column_and_class() {
        let read = assignment("age=quasi-identifier").unwrap();
        assert_eq!(read, Assignment::new("age", "quasi-identifier").unwrap());
        assert_eq!(
            read.name(),
            Some((&"age".parse().unwrap(), ColumnClass::QuasiIdentifier))
        );
        assert!(assignment("lab_*=ordinary").unwrap().pattern().is_some());
        for wrong in [
            "a",
            "=ordinary",
            "a=",
            "a=secret",
            "a=ordinary=x",
            "a b=ordinary",
            "*=secret",
        ] {
            assert!(assignment(wrong).is_err(), "{wrong}");
        }
    }

    /// The classes that are set by these assignments, or what is wrong.
    fn set(assignments: &[&str]) -> Result<Vec<String>, String> {
        let dataset = dataset(&["pid", "lab_na", "lab_k", "LAB_id", "größe", "age"]);
        let read: Vec<Assignment> = assignments.iter().map(|text| assignment(text).unwrap()).collect();
        let classes = resolved(&read, &dataset).map_err(|problem| problem.detail)?;
        Ok(classes
            .iter()
            .map(|(column, class)| format!("{column}={class}"))
            .collect())
    }

    #[test]
    fn patterns_and_names_are_resolved_to_columns() {
        let all = set(&["*=ordinary", "pid=direct-identifier", "AGE=quasi-identifier"]).unwrap();
        assert_eq!(
            all,
            [
                "LAB_id=ordinary",
                "age=quasi-identifier",
                "größe=ordinary",
                "lab_k=ordinary",
                "lab_na=ordinary",
                "pid=direct-identifier"
            ]
        );
        // What no assignment is about keeps its class; a name wins wherever it stands, and twice the same class is one.
        assert_eq!(
            set(&["lab_*=sensitive", "*_k=sensitive", "lab_id=ordinary", "lab_id=ordinary"]).unwrap(),
            ["LAB_id=ordinary", "lab_k=sensitive", "lab_na=sensitive"]
        );
        assert_eq!(set(&["gr??e=ordinary"]).unwrap(), ["größe=ordinary"]);
    }

    #[test]
    fn what_matches_nothing_or_twice_is_refused_by_name() {
        for (assignments, parts) in [
            (
                &["street=ordinary", "city=ordinary"][..],
                &["no column `street`, `city`"][..],
            ),
            (&["vis_*=ordinary"], &["matches `vis_*`"]),
            (
                &["lab_*=ordinary", "*_id=direct-identifier"],
                &[
                    "`LAB_id`",
                    "`lab_*`, which is to be ordinary",
                    "`*_id`, which is to be direct-identifier",
                ],
            ),
            (&["age=ordinary", "AGE=sensitive"], &["`age`", "ordinary and sensitive"]),
        ] {
            let problem = set(assignments).unwrap_err();
            assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
        }
        // A name decides what patterns leave open.
        assert!(set(&["lab_*=ordinary", "*_id=direct-identifier", "lab_id=sensitive"]).is_ok());
        // Also one that no column is left for: the pattern matches all the same.
        assert!(set(&["größ*=ordinary", "größe=sensitive"]).is_ok());
    }
}
