//! From what is declared, and a template, to the rules of a collection whose columns are known.

use std::fmt::Display;

use concordat_documents::collection::TemplateChoice;
use concordat_documents::problem::Problem;
use concordat_protocol::collection::{
    ANCESTORS_LEVEL, AncestorGroups, CollectionRules, ColumnRole, ColumnRules, DatasetKind, KnownColumns, Levels,
    NAMED_LEVEL, Origin, RawCollectionRules, RawColumnRules, RawDatasetRules, RawLevels, ValueNames,
};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::schema::ColumnClass;
use concordat_storage::catalog::{CollectionRecord, OpenColumns, ProposedColumns};
use concordat_storage::ingest::ColumnSpellings;

use crate::templates::{TemplateFile, shipped, shipped_names};

/// Most mistakes that a problem lists: more than a person reads at once.
const MAX_REASONS: usize = 100;

/// What is declared about a collection.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    /// What was declared before.
    base: RawCollectionRules,
    /// The names of values that are known although nothing that was declared before stays.
    names: Vec<(DatasetName, ColumnName, ValueNames)>,
    template: Option<(TemplateFile, Origin)>,
}

impl Declarations {
    /// What was declared about a collection, if there is one, and a template.
    ///
    /// # Errors
    /// `not_found` if the program does not contain the template; `usage` if the template has mistakes.
    pub(super) fn of(record: Option<&CollectionRecord>, template: Option<&TemplateChoice>) -> Result<Self, Problem> {
        Ok(Self {
            base: record.map(declared).unwrap_or_default(),
            names: Vec::new(),
            template: template.map(parsed).transpose()?,
        })
    }

    /// The same with a template alone. The names of values are not declared, and are those of the rows that there are.
    pub(super) fn without_base(self) -> Self {
        Self {
            base: RawCollectionRules::default(),
            names: names_of_values(&self.base),
            ..self
        }
    }

    /// Whether nothing is declared, so that it is not known how rows lead to subjects.
    pub(super) fn is_empty(&self) -> bool {
        self.template.is_none() && self.base.datasets.is_empty()
    }

    /// How the header of the file of a dataset may spell the columns that the template names.
    pub(super) fn spellings(&self, dataset: &DatasetName) -> ColumnSpellings {
        let Some((file, _)) = &self.template else {
            return ColumnSpellings::default();
        };
        let template = file.template();
        let entries = template.datasets.iter();
        let entries = entries.filter(|entry| entry.name.matches(dataset.as_str()));
        let names = entries.flat_map(|entry| &entry.columns).map(|(name, _)| name);
        let names = names.filter(|name| !name.is_open());
        ColumnSpellings {
            columns: names.filter_map(|name| ColumnName::new(name.as_str()).ok()).collect(),
            spellings: template.headers.clone(),
        }
    }

    /// The rules of a collection with these columns.
    ///
    /// # Errors
    /// Everything that is wrong, one sentence each, with the line of the template if it is of this collection.
    pub(super) fn rules(&self, known: &KnownColumns) -> Result<CollectionRules, Vec<String>> {
        let mut raw = retained(self.base.clone(), known);
        if let Some((file, origin)) = &self.template {
            let applied = file.template().apply(raw, known, *origin);
            raw = applied.map_err(|errors| {
                self.listed(&errors, |error| (Some(error.dataset.as_str()), error.column.as_deref()))
            })?;
        }
        for (dataset, column, names) in &self.names {
            let declared = raw.datasets.get_mut(dataset);
            // What does not fit the new declarations is left out by their check.
            if let Some(found) = declared.and_then(|declared| declared.columns.get_mut(column)) {
                found.names = Some(names.clone());
            }
        }
        CollectionRules::check(raw, known).map_err(|errors| {
            self.listed(&errors, |error| {
                let dataset = error.dataset.as_ref().map(DatasetName::as_str);
                (dataset, error.column.as_ref().map(ColumnName::as_str))
            })
        })
    }

    /// The columns for which something is proposed: those of rows with owners that have neither levels nor a range, unless a template states
    /// that, or it was so before, of rows with owners, and nothing was proposed; and those with codes of an open list without the level that groups use.
    pub(super) fn open(&self, rules: &CollectionRules, before: &ProposedColumns) -> OpenColumns {
        let mut open = OpenColumns::new();
        for (dataset, of_dataset) in rules.datasets() {
            if !has_subjects(of_dataset.kind()) {
                continue;
            }
            // Nothing could be proposed from rows without owners, so that nothing was decided about their columns.
            let base = self.base.datasets.get(dataset).filter(|base| has_subjects(&base.kind));
            let proposed = before.get(dataset);
            for (column, declared) in of_dataset.columns() {
                let was_known = base.is_some_and(|base| base.columns.contains_key(column));
                let was_open = proposed.is_some_and(|proposed| proposed.contains_key(column));
                let is_stated = self.declares_levels(dataset, column);
                // Codes that a template declares have a list only if it is proposed.
                let is_open = if lacks_list(declared) {
                    !was_known || was_open || is_stated
                } else {
                    is_undeclared(declared) && (!was_known || was_open) && !is_stated
                };
                if is_open {
                    open.insert((dataset.clone(), column.clone()));
                }
            }
        }
        open
    }

    /// Whether the template states what a column's levels or range are, or that it has none.
    fn declares_levels(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let datasets = self.template.iter().flat_map(|(file, _)| &file.template().datasets);
        let matching = datasets.filter(|entry| entry.name.matches(dataset.as_str()));
        let columns = matching.flat_map(|entry| &entry.columns);
        let mut matching = columns.filter(|(name, _)| name.matches(column.as_str()));
        matching.any(|(_, entry)| entry.levels.is_some() || entry.measure.is_some())
    }

    fn listed<'a, E: Display>(
        &self,
        errors: &'a [E],
        location: impl Fn(&'a E) -> (Option<&'a str>, Option<&'a str>),
    ) -> Vec<String> {
        let sentence = |error: &'a E| {
            let (dataset, column) = location(error);
            match dataset.and_then(|dataset| self.line_of(dataset, column)) {
                Some(line) => format!("line {line}: {error}"),
                None => error.to_string(),
            }
        };
        let mut reasons: Vec<String> = errors.iter().take(MAX_REASONS).map(sentence).collect();
        let more = errors.len().saturating_sub(MAX_REASONS);
        if more > 0 {
            reasons.push(format!("and {more} more"));
        }
        reasons
    }

    /// The line of a template that the steward wrote.
    fn line_of(&self, dataset: &str, column: Option<&str>) -> Option<usize> {
        let (file, origin) = self.template.as_ref()?;
        if *origin == Origin::User {
            file.line_of(dataset, column)
        } else {
            None
        }
    }
}

/// Whether the rows of a dataset of several have owners.
fn has_subjects(kind: &DatasetKind) -> bool {
    match kind {
        DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } => true,
        DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => false,
    }
}

/// Whether something can be proposed for a column: identifiers and keys have neither levels nor a range.
fn is_undeclared(column: &ColumnRules) -> bool {
    let is_value = *column.role() == ColumnRole::Value && column.class() != Some(ColumnClass::DirectIdentifier);
    is_value && *column.levels() == Levels::None && column.measure().is_none()
}

/// Whether a column has codes of an open list, and no list of those that groups show.
fn lacks_list(column: &ColumnRules) -> bool {
    matches!(column.levels(), Levels::Codes(codes) if codes.listed().is_none())
}

/// The rules of a collection with everything that is proposed.
///
/// # Errors
/// Everything that is wrong, one sentence each.
pub(super) fn with_proposals(
    record: &CollectionRecord,
    proposed: &ProposedColumns,
    known: &KnownColumns,
) -> Result<CollectionRules, Vec<String>> {
    let mut raw = retained(declared(record), known);
    for (dataset, columns) in proposed {
        let Some(declared) = raw.datasets.get_mut(dataset) else {
            continue;
        };
        for (column, proposed) in columns {
            proposed.add_to(declared.columns.entry(column.clone()).or_default());
        }
    }
    CollectionRules::check(raw, known).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// What is declared about a collection. Of a dataset alone that is its kind, and the classes of its columns.
fn declared(record: &CollectionRecord) -> RawCollectionRules {
    if let Some(rules) = record.rules() {
        return rules.raw();
    }
    let datasets = record.datasets().iter().map(|(name, dataset)| {
        let columns = dataset.classification.iter().map(|(column, class)| {
            let rules = RawColumnRules {
                class: Some(class),
                ..RawColumnRules::default()
            };
            (column.clone(), rules)
        });
        let rules = RawDatasetRules {
            kind: dataset.kind.clone(),
            columns: columns.collect(),
            ..RawDatasetRules::default()
        };
        (name.clone(), rules)
    });
    RawCollectionRules {
        datasets: datasets.collect(),
        ..RawCollectionRules::default()
    }
}

fn parsed(choice: &TemplateChoice) -> Result<(TemplateFile, Origin), Problem> {
    match choice {
        TemplateChoice::Text(text) => Ok((TemplateFile::parse(text)?, Origin::User)),
        TemplateChoice::Shipped(name) => Ok((TemplateFile::parse(shipped_text(name)?)?, Origin::DataModel)),
    }
}

/// The text of a template that the program contains.
///
/// # Errors
/// `not_found` if it contains none of that name.
pub(super) fn shipped_text(name: &str) -> Result<&'static str, Problem> {
    shipped(name).ok_or_else(|| {
        let names: Vec<String> = shipped_names().map(|name| format!("`{name}`")).collect();
        Problem::new(ErrorKind::NotFound, format!("there is no template `{name}`")).help(format!(
            "write one of {}, or the path of a template file",
            names.join(", ")
        ))
    })
}

/// The columns of which names of values are known.
fn names_of_values(rules: &RawCollectionRules) -> Vec<(DatasetName, ColumnName, ValueNames)> {
    let columns = rules.datasets.iter().flat_map(|(dataset, declared)| {
        let columns = declared.columns.iter();
        columns.map(move |(column, rules)| (dataset, column, rules))
    });
    let named = columns.filter_map(|(dataset, column, rules)| {
        let names = rules.names.clone()?;
        Some((dataset.clone(), column.clone(), names))
    });
    named.collect()
}

/// What was declared about the datasets and columns that there still are. A link to what is not there any more is a value, and codes have no
/// names or hierarchy without the columns with these.
fn retained(mut rules: RawCollectionRules, known: &KnownColumns) -> RawCollectionRules {
    rules.datasets.retain(|dataset, _| known.has(dataset));
    for (dataset, declared) in &mut rules.datasets {
        let is_known = |column: &ColumnName| known.contents(dataset, column).is_some();
        declared.columns.retain(|column, _| is_known(column));
        declared.event_date = declared.event_date.take().filter(is_known);
        for column in declared.columns.values_mut() {
            if let ColumnRole::Link { to, key } = &column.role
                && known.contents(to, key).is_none()
            {
                column.role = ColumnRole::Value;
            }
            retain_references(&mut column.levels, known);
        }
    }
    rules
}

/// What codes refer to, as far as there are columns with it. Names that were read from a column that is not there any more are left out with it.
fn retain_references(levels: &mut RawLevels, known: &KnownColumns) {
    let RawLevels::Codes {
        hierarchy,
        names,
        levels,
    } = levels
    else {
        return;
    };
    let has = |dataset: &DatasetName, column: &ColumnName| known.contents(dataset, column).is_some();
    *hierarchy = hierarchy.take().filter(|found| {
        let columns = [&found.ancestor, &found.descendant];
        columns.iter().all(|column| has(&found.dataset, column))
    });
    let had_names = names.is_some();
    *names = names.take().filter(|found| {
        let columns = [&found.code, &found.name];
        columns.iter().all(|column| has(&found.dataset, column))
    });
    if had_names && names.is_none() {
        levels.retain(|level, _| level.as_str() != NAMED_LEVEL && level.as_str() != ANCESTORS_LEVEL);
    }
    if let Some(hierarchy) = hierarchy {
        // Codes above others have their class where they have their names.
        let has_class = |groups: &AncestorGroups| names.as_ref().is_some_and(|of| has(&of.dataset, &groups.column));
        hierarchy.groups = hierarchy.groups.take().filter(has_class);
    }
}

#[cfg(test)]
mod tests;
