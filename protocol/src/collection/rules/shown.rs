//! The rules as far as a permission shows them: what the consumer of a grant receives.
//!
//! 1. Only datasets and columns that the permission shows are named, and a link or a reference only if what it leads to is shown too.
//! 2. Each column has the levels and the range that are left under its transform. Classes are left out: the catalog states them. Names of
//!    codes and values are values of another column, and are shown only if both columns are shown as they are.
//! 3. Rows that lead to a subject in a way that is not shown have a column in place of it, which the permission does not show either.
//!
//! The result is valid as a whole, as every value of [`CollectionRules`] is, so that decoding makes the same checks.

use std::collections::BTreeMap;

use super::super::kind::{ColumnRole, DatasetKind, KeyLink, OwnerLinks};
use super::super::levels::{ANCESTORS_LEVEL, AncestorGroups, CodeNames, Contents, Hierarchy, NAMED_LEVEL, RawLevels};
use super::super::measure::RawRange;
use super::column::{ColumnRules, RawColumnRules, ValueNames};
use super::dataset::{DatasetRules, RawDatasetRules};
use super::known::KnownColumns;
use super::{CollectionRules, RawCollectionRules};
use crate::ids::{ColumnName, DatasetName, Digest32};
use crate::labels;
use crate::scope::{Datasets, Transform};
use crate::signed::encode;

/// Longest encoding of rules that a permission shows, in bytes: with the columns they are one message.
const MAX_ENCODED: usize = 768 << 10;
/// The name of the column in place of one that is not shown; a number follows if the permission shows a column of this name.
const NOT_SHOWN: &str = "subject";

impl CollectionRules {
    /// The rules as far as a permission over `shown` shows them. `None` if no rows of theirs lead to a subject, or if they are more than
    /// one message.
    #[must_use]
    pub fn shown_by(&self, shown: &Datasets) -> Option<Self> {
        let shown = Shown(shown);
        let mut datasets = BTreeMap::new();
        let mut known = Vec::new();
        for (name, rules) in self.datasets() {
            if shown.0.get(name).is_none() {
                continue;
            }
            let (rules, contents) = shown.dataset(name, rules);
            datasets.insert(name.clone(), rules);
            known.push((name.clone(), contents));
        }
        let days = self.days().clone();
        let rules = Self::check(RawCollectionRules { datasets, days }, &KnownColumns::new(known)).ok()?;
        let encoded = encode(&rules).ok()?;
        (encoded.len() <= MAX_ENCODED).then_some(rules)
    }

    /// What identifies the rules: another digest for each difference.
    #[must_use]
    pub fn digest(&self) -> Digest32 {
        // No part of them has a type that cannot be encoded.
        Digest32::sha256(labels::COLLECTION_RULES, &encode(self).unwrap_or_default())
    }
}

/// What a permission shows.
struct Shown<'a>(&'a Datasets);

impl Shown<'_> {
    fn transform(&self, dataset: &DatasetName, column: &ColumnName) -> Transform {
        let covered = self.0.get(dataset);
        covered.map_or(Transform::Removed, |covered| covered.columns.transform(column))
    }

    fn has(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        self.transform(dataset, column) != Transform::Removed
    }

    /// The rules of a dataset, and what its columns contain.
    fn dataset(&self, name: &DatasetName, rules: &DatasetRules) -> (RawDatasetRules, BTreeMap<ColumnName, Contents>) {
        let mut columns = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for (column, declared) in rules.columns().filter(|(column, _)| self.has(name, column)) {
            columns.insert(column.clone(), self.column((name, column), declared));
            contents.insert(column.clone(), declared.contents());
        }
        let kind = self.kind(name, rules.kind());
        if let DatasetKind::Keyed { subject, .. } = &kind {
            contents.entry(subject.clone()).or_insert(Contents::Empty);
        }
        let event_date = rules.event_date().filter(|date| self.has(name, date)).cloned();
        let shown = RawDatasetRules {
            kind,
            columns,
            event_date,
            counts: rules.counts().clone(),
        };
        (shown, contents)
    }

    fn kind(&self, name: &DatasetName, kind: &DatasetKind) -> DatasetKind {
        // There are more numbers than columns, so there is a name.
        let in_place = |unique: bool| match self.placeholder(name) {
            Some(subject) => DatasetKind::Keyed { subject, unique },
            None => DatasetKind::Unowned,
        };
        match kind {
            DatasetKind::Keyed { subject, unique } if !self.has(name, subject) => in_place(*unique),
            DatasetKind::Owned { through } => {
                let links = through.iter().filter(|link| self.has_link(name, link)).cloned();
                let links = OwnerLinks::new(links.collect());
                links.map_or_else(|_| in_place(false), |through| DatasetKind::Owned { through })
            }
            DatasetKind::Keyed { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => {
                kind.clone()
            }
        }
    }

    fn has_link(&self, name: &DatasetName, link: &KeyLink) -> bool {
        self.has(name, &link.column) && self.has(&link.to, &link.key)
    }

    /// A name that no shown column of the dataset has, with regard to case or without.
    fn placeholder(&self, dataset: &DatasetName) -> Option<ColumnName> {
        let is_taken = |name: &ColumnName| {
            let mut shown = self
                .0
                .get(dataset)
                .into_iter()
                .flat_map(|covered| covered.columns.names());
            shown.any(|column| column.as_str().eq_ignore_ascii_case(name.as_str()))
        };
        let numbered = (2_u32..).map(|number| format!("{NOT_SHOWN}_{number}"));
        let names = std::iter::once(NOT_SHOWN.to_owned()).chain(numbered);
        let mut valid = names.filter_map(|name| ColumnName::new(&name).ok());
        valid.find(|name| !is_taken(name))
    }

    fn column(&self, (dataset, name): (&DatasetName, &ColumnName), declared: &ColumnRules) -> RawColumnRules {
        let transform = self.transform(dataset, name);
        // Which years are the oldest depends on the permission's window, which both sides know.
        let levels = declared.levels().under(transform, None);
        RawColumnRules {
            class: None,
            role: self.role(declared.role()),
            levels: levels.map_or(RawLevels::None, |levels| self.levels(levels.raw(), transform)),
            measure: declared
                .measure()
                .filter(|_| transform == Transform::Clear)
                .map(RawRange::from),
            unit: declared.unit().cloned(),
            complete: declared.is_complete_under(transform),
            names: declared
                .names()
                .filter(|names| transform == Transform::Clear && self.has_names(declared, names))
                .cloned(),
        }
    }

    /// Whether both the values and their names are shown as they are.
    fn has_names(&self, declared: &ColumnRules, names: &ValueNames) -> bool {
        match declared.role() {
            ColumnRole::Link { to, .. } => self.transform(to, &names.column) == Transform::Clear,
            ColumnRole::Subject | ColumnRole::Key | ColumnRole::Value => false,
        }
    }

    fn role(&self, role: &ColumnRole) -> ColumnRole {
        match role {
            ColumnRole::Link { to, key } if !self.has(to, key) => ColumnRole::Value,
            ColumnRole::Subject | ColumnRole::Key | ColumnRole::Link { .. } | ColumnRole::Value => role.clone(),
        }
    }

    /// The levels of a column under this transform, without what is not shown of the columns that they refer to: the level of names has
    /// values of another column, so that both are shown as they are.
    fn levels(&self, levels: RawLevels, transform: Transform) -> RawLevels {
        let RawLevels::Codes {
            hierarchy,
            names,
            mut levels,
        } = levels
        else {
            return levels;
        };
        let are_clear = |found: &CodeNames| {
            transform == Transform::Clear && self.transform(&found.dataset, &found.name) == Transform::Clear
        };
        if !names.as_ref().is_some_and(are_clear) {
            levels.retain(|level, _| level.as_str() != NAMED_LEVEL);
        }
        let names = names.filter(|found| {
            [&found.code, &found.name]
                .iter()
                .all(|column| self.has(&found.dataset, column))
        });
        let hierarchy = hierarchy.filter(|found| {
            [&found.ancestor, &found.descendant]
                .iter()
                .all(|column| self.has(&found.dataset, column))
        });
        let has_names = names.as_ref().is_some_and(are_clear);
        if hierarchy.is_none() || !has_names {
            levels.retain(|level, _| level.as_str() != ANCESTORS_LEVEL);
        }
        let has_class = |groups: &AncestorGroups| {
            let mut of_codes = names.iter();
            of_codes.any(|names| self.has(&names.dataset, &groups.column))
        };
        RawLevels::Codes {
            hierarchy: hierarchy.map(|found| Hierarchy {
                groups: found.groups.filter(has_class),
                dataset: found.dataset,
                ancestor: found.ancestor,
                descendant: found.descendant,
            }),
            names,
            levels,
        }
    }
}
