//! Templates: what a steward, or the author of a data model, declares about datasets and columns by name or pattern.
//!
//! 1. An entry applies to every dataset and column that its names or patterns match. Names come before patterns: what an entry with a
//!    name declares is not changed by one with a pattern, and a name of the dataset comes before a name of the column.
//! 2. Two entries of one rank that declare different things are a mistake, and so is, in the file of a user, a name that does not exist or
//!    a pattern that matches no name.
//! 3. What a template declares replaces what was declared before, but for the lists of codes of which it states none; the result is checked
//!    as a whole ([`CollectionRules::check`](super::CollectionRules::check)).

mod edges;
mod entry;
mod error;
mod pattern;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

pub use edges::{CalendarPart, EdgeSpec, TemplateEdges};
pub use entry::{TemplateColumn, TemplateDataset, TemplateKind, TemplateLevels, TemplateRole};
pub use error::{TemplateError, TemplateProblem};
pub use pattern::{HeaderSpelling, InvalidPattern, Pattern};

use super::kind::{ColumnRole, DatasetKind, DayLevels, KeyLink, OwnerLinks};
use super::levels::{AncestorGroups, CodeNames, Contents, Hierarchy, RawLevels};
use super::rules::{KnownColumns, RawCollectionRules, RawColumnRules, RawDatasetRules};
use crate::ids::{ColumnName, DatasetName};
use crate::text::Label;
use resolve::{Errors, part};

/// Who wrote a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is about a data model: a collection may have only some of its datasets and columns, and links to others are left out.
    DataModel,
    /// It is about this collection: all that it names exists.
    User,
}

/// Declarations for the datasets and columns of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its name, for example `omop-5.4`.
    pub name: Label,
    /// The dataset with the subjects and their key. Other keyed datasets have the key in a column of that name, if none is declared.
    pub subject: Option<(DatasetName, ColumnName)>,
    /// How else the headers of files may name columns.
    pub headers: Vec<HeaderSpelling>,
    /// How many days apart a condition may require two dates to be.
    pub days: Option<DayLevels>,
    /// The datasets, by name or pattern.
    pub datasets: Vec<TemplateDataset>,
}

impl Template {
    /// The rules of the datasets and columns that exist: `base`, changed by what the template declares.
    ///
    /// # Errors
    /// Everything that is wrong with the template for these columns.
    pub fn apply(
        &self,
        base: RawCollectionRules,
        known: &KnownColumns,
        origin: Origin,
    ) -> Result<RawCollectionRules, Vec<TemplateError>> {
        let mut errors = Errors::default();
        self.check_doubled(&mut errors);
        if origin == Origin::User {
            self.check_names(known, &mut errors);
        }
        let mut rules = base;
        if let Some(days) = &self.days {
            rules.days = days.clone();
        }
        for (name, columns) in known.iter() {
            let declared = rules.datasets.entry(name.clone()).or_default();
            let applied = Applied {
                template: self,
                known,
                origin,
                name,
                columns,
            };
            applied.to_columns(declared, &mut errors);
            applied.to_dataset(declared, &mut errors);
        }
        if errors.0.is_empty() { Ok(rules) } else { Err(errors.0) }
    }

    fn check_doubled(&self, errors: &mut Errors) {
        let mut datasets = BTreeSet::new();
        for dataset in &self.datasets {
            if !datasets.insert(&dataset.name) {
                errors.add(dataset.name.as_str(), None, TemplateProblem::Twice);
            }
            let mut columns = BTreeSet::new();
            for (column, _) in &dataset.columns {
                if !columns.insert(column) {
                    errors.add(dataset.name.as_str(), Some(column.as_str()), TemplateProblem::Twice);
                }
            }
        }
    }

    /// Every name and pattern is about a dataset and column that exist.
    fn check_names(&self, known: &KnownColumns, errors: &mut Errors) {
        if let Some((dataset, column)) = &self.subject
            && find(known, dataset, column).is_none()
        {
            errors.add(dataset.as_str(), Some(column.as_str()), TemplateProblem::UnknownColumn);
        }
        for dataset in &self.datasets {
            let matched = || known.iter().filter(|(name, _)| dataset.name.matches(name.as_str()));
            if matched().next().is_none() {
                let problem = unmatched(&dataset.name, TemplateProblem::UnknownDataset);
                errors.add(dataset.name.as_str(), None, problem);
                continue;
            }
            for (column, _) in &dataset.columns {
                let is_known = matched().any(|(_, columns)| columns.keys().any(|name| column.matches(name.as_str())));
                if !is_known {
                    let problem = unmatched(column, TemplateProblem::UnknownColumn);
                    errors.add(dataset.name.as_str(), Some(column.as_str()), problem);
                }
            }
        }
    }
}

fn unmatched(pattern: &Pattern, unknown: TemplateProblem) -> TemplateProblem {
    if pattern.is_open() {
        TemplateProblem::Unmatched
    } else {
        unknown
    }
}

/// Codes for which a template states no lists have those that they had before.
fn with_lists(levels: RawLevels, before: RawLevels) -> RawLevels {
    match (levels, before) {
        (
            RawLevels::Codes {
                hierarchy,
                names,
                levels,
            },
            RawLevels::Codes { levels: lists, .. },
        ) if levels.is_empty() => RawLevels::Codes {
            hierarchy,
            names,
            levels: lists,
        },
        (levels, _) => levels,
    }
}

/// The name of a column as it exists: case does not matter.
fn find<'a>(known: &'a KnownColumns, dataset: &DatasetName, column: &ColumnName) -> Option<&'a ColumnName> {
    let columns = known.iter().find(|(name, _)| *name == dataset)?.1;
    find_in(columns, column)
}

fn find_in<'a>(columns: &'a BTreeMap<ColumnName, Contents>, column: &ColumnName) -> Option<&'a ColumnName> {
    let exact = columns.get_key_value(column).map(|(name, _)| name);
    let lower = column.as_str().to_lowercase();
    exact.or_else(|| columns.keys().find(|name| name.as_str().to_lowercase() == lower))
}

/// A template for one dataset.
struct Applied<'a> {
    template: &'a Template,
    known: &'a KnownColumns,
    origin: Origin,
    name: &'a DatasetName,
    columns: &'a BTreeMap<ColumnName, Contents>,
}

impl Applied<'_> {
    fn entries(&self) -> Vec<(u8, &TemplateDataset)> {
        let entries = self.template.datasets.iter();
        let matching = entries.filter(|entry| entry.name.matches(self.name.as_str()));
        matching.map(|entry| (u8::from(entry.name.is_open()), entry)).collect()
    }

    fn to_columns(&self, declared: &mut RawDatasetRules, errors: &mut Errors) {
        for column in self.columns.keys() {
            let mut entries = Vec::new();
            for (rank, dataset) in self.entries() {
                let matching = dataset.columns.iter().filter(|(name, _)| name.matches(column.as_str()));
                entries.extend(matching.map(|(name, entry)| (2 * rank + u8::from(name.is_open()), entry)));
            }
            if entries.is_empty() {
                continue;
            }
            let mut rules = declared.columns.remove(column).unwrap_or_default();
            for problem in self.to_column(&entries, &mut rules) {
                errors.add(self.name.as_str(), Some(column.as_str()), problem);
            }
            declared.columns.insert(column.clone(), rules);
        }
    }

    /// Changes the rules of a column by the entries that match it, and returns what is wrong with these.
    fn to_column(&self, entries: &[(u8, &TemplateColumn)], rules: &mut RawColumnRules) -> Vec<TemplateProblem> {
        let mut problems = Vec::new();
        match part(entries, "class", |entry| entry.class.as_ref()) {
            Ok(class) => rules.class = class.copied().or(rules.class),
            Err(problem) => problems.push(problem),
        }
        match part(entries, "role", |entry| entry.role.as_ref()) {
            Ok(Some(role)) => rules.role = self.role(role),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
        match part(entries, "range", |entry| entry.measure.as_ref()) {
            Ok(measure) => rules.measure = measure.copied().or(rules.measure),
            Err(problem) => problems.push(problem),
        }
        match part(entries, "unit", |entry| entry.unit.as_ref()) {
            Ok(unit) => rules.unit = unit.cloned().or(rules.unit.take()),
            Err(problem) => problems.push(problem),
        }
        match part(entries, "`complete`", |entry| entry.complete.as_ref()) {
            Ok(complete) => rules.complete = complete.copied().unwrap_or(rules.complete),
            Err(problem) => problems.push(problem),
        }
        let levels = part(entries, "list of levels", |entry| entry.levels.as_ref());
        match levels.and_then(|levels| levels.map(|levels| levels.raw()).transpose()) {
            Ok(Some(levels)) => rules.levels = with_lists(self.levels(levels), std::mem::take(&mut rules.levels)),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
        problems
    }

    /// The role with the names as they exist; links of a data model to what the collection lacks are left out.
    fn role(&self, role: &TemplateRole) -> ColumnRole {
        match role {
            TemplateRole::Subject => ColumnRole::Subject,
            TemplateRole::Key => ColumnRole::Key,
            TemplateRole::Value => ColumnRole::Value,
            TemplateRole::Link { to, key } => match (find(self.known, to, key), self.origin) {
                (None, Origin::DataModel) => ColumnRole::Value,
                (found, Origin::DataModel | Origin::User) => ColumnRole::Link {
                    to: to.clone(),
                    key: found.unwrap_or(key).clone(),
                },
            },
        }
    }

    /// The levels with the names as they exist; references of a data model to datasets that the collection lacks are left out.
    fn levels(&self, levels: RawLevels) -> RawLevels {
        let spelled =
            |dataset: &DatasetName, column: ColumnName| find(self.known, dataset, &column).cloned().unwrap_or(column);
        let is_kept = |dataset: &DatasetName| self.origin == Origin::User || self.known.has(dataset);
        let has_names = |found: &CodeNames| {
            let has = |column: &ColumnName| find(self.known, &found.dataset, column).is_some();
            self.origin == Origin::User || (has(&found.code) && has(&found.name))
        };
        match levels {
            RawLevels::Codes {
                hierarchy,
                names,
                levels,
            } => {
                let names = names.filter(has_names).map(|found| CodeNames {
                    code: spelled(&found.dataset, found.code),
                    name: spelled(&found.dataset, found.name),
                    dataset: found.dataset,
                });
                let hierarchy = hierarchy.filter(|found| is_kept(&found.dataset));
                RawLevels::Codes {
                    hierarchy: hierarchy.map(|found| Hierarchy {
                        ancestor: spelled(&found.dataset, found.ancestor),
                        descendant: spelled(&found.dataset, found.descendant),
                        dataset: found.dataset,
                        groups: found.groups.and_then(|groups| self.groups(groups, names.as_ref())),
                    }),
                    names,
                    levels,
                }
            }
            RawLevels::None | RawLevels::Truth | RawLevels::Edges { .. } | RawLevels::Values(_) => levels,
        }
    }

    /// The same with the name of the column as it exists; `None` for a data model if the dataset with the names of codes lacks it.
    fn groups(&self, groups: AncestorGroups, names: Option<&CodeNames>) -> Option<AncestorGroups> {
        let found = names.and_then(|names| find(self.known, &names.dataset, &groups.column));
        match (found, self.origin) {
            (None, Origin::DataModel) => None,
            (found, Origin::DataModel | Origin::User) => Some(AncestorGroups {
                column: found.cloned().unwrap_or(groups.column),
                class: groups.class,
            }),
        }
    }

    fn to_dataset(&self, declared: &mut RawDatasetRules, errors: &mut Errors) {
        let entries = self.entries();
        let name = self.name.as_str();
        match part(&entries, "list of counts", |entry| entry.counts.as_ref()) {
            Ok(counts) => declared.counts = counts.unwrap_or(&declared.counts).clone(),
            Err(problem) => errors.add(name, None, problem),
        }
        match part(&entries, "date", |entry| entry.event_date.as_ref()) {
            Ok(Some(date)) => match (find_in(self.columns, date), self.origin) {
                (None, Origin::User) => errors.add(name, Some(date.as_str()), TemplateProblem::UnknownColumn),
                (found, Origin::DataModel | Origin::User) => declared.event_date = found.cloned(),
            },
            Ok(None) => {}
            Err(problem) => errors.add(name, None, problem),
        }
        let kind = part(&entries, "kind", |entry| entry.kind.as_ref());
        match kind.and_then(|kind| kind.map(|kind| self.kind(kind, declared)).transpose()) {
            Ok(Some(kind)) => declared.kind = kind,
            Ok(None) => {}
            Err(problem) => errors.add(name, None, problem),
        }
    }

    fn kind(&self, kind: &TemplateKind, declared: &RawDatasetRules) -> Result<DatasetKind, TemplateProblem> {
        Ok(match kind {
            TemplateKind::Keyed { unique } => DatasetKind::Keyed {
                subject: self.subject_column(declared)?,
                unique: *unique,
            },
            TemplateKind::Owned { through } => return self.owned(through),
            TemplateKind::Reference => DatasetKind::Reference,
            TemplateKind::EachRow => DatasetKind::EachRow,
            TemplateKind::Unowned => DatasetKind::Unowned,
        })
    }

    /// The one column that is declared as the key of the subject, or the one with the name that the template states for all.
    fn subject_column(&self, declared: &RawDatasetRules) -> Result<ColumnName, TemplateProblem> {
        let subjects = declared
            .columns
            .iter()
            .filter(|(_, rules)| rules.role == ColumnRole::Subject);
        let mut subjects = subjects.map(|(name, _)| name);
        match (subjects.next(), subjects.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(TemplateProblem::SeveralSubjectColumns),
            (None, _) => {
                let stated = self.template.subject.as_ref().map(|(_, column)| column);
                let found = stated.and_then(|column| find_in(self.columns, column));
                found.cloned().ok_or(TemplateProblem::NoSubjectColumn)
            }
        }
    }

    /// The links that lead to the owner. A dataset of a data model whose owner the collection lacks leads to no subject.
    fn owned(&self, through: &[KeyLink]) -> Result<DatasetKind, TemplateProblem> {
        let mut links = Vec::new();
        for link in through {
            let key = find(self.known, &link.to, &link.key);
            let column = find_in(self.columns, &link.column);
            if self.origin == Origin::DataModel && (key.is_none() || column.is_none()) {
                continue;
            }
            links.push(KeyLink {
                column: column.unwrap_or(&link.column).clone(),
                to: link.to.clone(),
                key: key.unwrap_or(&link.key).clone(),
            });
        }
        if links.is_empty() && !through.is_empty() {
            return Ok(DatasetKind::Unowned);
        }
        let through = OwnerLinks::new(links).map_err(|_| TemplateProblem::OwnerLinks)?;
        Ok(DatasetKind::Owned { through })
    }
}
