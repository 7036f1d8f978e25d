//! Which columns of the datasets of a grant join.
//!
//! Only what the grant shows counts: a dataset or a key that it does not contain makes no difference to a pseudonym, and is not named.
//! So provider and consumer derive the same domains, the provider from the kinds of the datasets and the consumer from the roles that the
//! provider states.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{ColumnRole, DatasetKind, KeyDomain},
    ids::{ColumnName, DatasetName},
    scope::{Datasets, Transform},
};

/// A column of a dataset.
type DatasetColumn = (DatasetName, ColumnName);

/// With what the columns of the datasets of a grant join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    /// The columns with the key of the subject.
    subjects: BTreeSet<DatasetColumn>,
    /// The columns whose values are keys of another dataset, with that key.
    links: BTreeMap<DatasetColumn, DatasetColumn>,
    /// The keys to which a link leads.
    keys: BTreeSet<DatasetColumn>,
}

impl Domains {
    /// The domains of the columns that `shown` contains, in datasets of these kinds.
    #[must_use]
    pub fn of_kinds(shown: &Datasets, kind_of: &dyn Fn(&DatasetName) -> Option<DatasetKind>) -> Self {
        let mut domains = Self::default();
        for dataset in shown.names() {
            match kind_of(dataset) {
                Some(DatasetKind::Keyed { subject, .. }) => {
                    domains.add((dataset.clone(), subject), ColumnRole::Subject);
                }
                Some(DatasetKind::Owned { through }) => {
                    for link in through.iter().filter(|link| is_shown(shown, &link.to, &link.key)) {
                        let role = ColumnRole::Link {
                            to: link.to.clone(),
                            key: link.key.clone(),
                        };
                        domains.add((dataset.clone(), link.column.clone()), role);
                    }
                }
                Some(DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned) | None => {}
            }
        }
        domains
    }

    /// The domains of columns with these roles.
    #[must_use]
    pub fn of_roles(roles: impl IntoIterator<Item = (DatasetName, ColumnName, ColumnRole)>) -> Self {
        let mut domains = Self::default();
        for (dataset, column, role) in roles {
            domains.add((dataset, column), role);
        }
        domains
    }

    /// The role of a column, from which [`Self::of_roles`] makes the same domains.
    #[must_use]
    pub fn role(&self, dataset: &DatasetName, column: &ColumnName) -> ColumnRole {
        let named = (dataset.clone(), column.clone());
        if self.subjects.contains(&named) {
            return ColumnRole::Subject;
        }
        match self.links.get(&named) {
            Some((to, key)) => ColumnRole::Link {
                to: to.clone(),
                key: key.clone(),
            },
            None if self.keys.contains(&named) => ColumnRole::Key,
            None => ColumnRole::Value,
        }
    }

    /// With what a column joins.
    #[must_use]
    pub fn of(&self, dataset: &DatasetName, column: &ColumnName) -> KeyDomain {
        let named = (dataset.clone(), column.clone());
        let key = self.links.get(&named).unwrap_or(&named);
        if self.subjects.contains(&named) || self.subjects.contains(key) {
            return KeyDomain::Subject;
        }
        if *key == named && !self.keys.contains(key) {
            return KeyDomain::Column(column.clone());
        }
        KeyDomain::Key {
            dataset: key.0.clone(),
            column: key.1.clone(),
        }
    }

    fn add(&mut self, named: DatasetColumn, role: ColumnRole) {
        match role {
            ColumnRole::Subject => drop(self.subjects.insert(named)),
            ColumnRole::Key => drop(self.keys.insert(named)),
            ColumnRole::Link { to, key } => {
                self.keys.insert((to.clone(), key.clone()));
                self.links.insert(named, (to, key));
            }
            ColumnRole::Value => {}
        }
    }
}

fn is_shown(shown: &Datasets, dataset: &DatasetName, column: &ColumnName) -> bool {
    let transform = shown.get(dataset).map(|dataset| dataset.columns.transform(column));
    transform.is_some_and(|transform| transform != Transform::Removed)
}

#[cfg(test)]
mod tests {
    use concordat_protocol::{
        collection::{KeyLink, OwnerLinks},
        scope::{Columns, DatasetScope, Rows},
    };

    use super::*;

    fn dataset(name: &str) -> DatasetName {
        name.parse().unwrap()
    }

    fn column(name: &str) -> ColumnName {
        name.parse().unwrap()
    }

    /// Persons, visits, and notes that lead to a visit by `visit`.
    fn kind(name: &DatasetName) -> Option<DatasetKind> {
        let keyed = |subject: &str, unique| DatasetKind::Keyed {
            subject: column(subject),
            unique,
        };
        match name.as_str() {
            "person" => Some(keyed("id", true)),
            "visit" => Some(keyed("who", false)),
            "note" => {
                let link = KeyLink {
                    column: column("visit"),
                    to: dataset("visit"),
                    key: column("number"),
                };
                let through = OwnerLinks::new(vec![link]).unwrap();
                Some(DatasetKind::Owned { through })
            }
            "contact" => {
                let link = KeyLink {
                    column: column("of"),
                    to: dataset("person"),
                    key: column("id"),
                };
                let through = OwnerLinks::new(vec![link]).unwrap();
                Some(DatasetKind::Owned { through })
            }
            _ => None,
        }
    }

    fn shown(datasets: &[(&str, &[&str])]) -> Datasets {
        let datasets = datasets.iter().map(|(name, columns)| {
            let columns = columns.iter().map(|name| (column(name), Transform::Pseudonym));
            let scope = DatasetScope {
                columns: Columns::new(columns).unwrap(),
                rows: Rows::all(),
            };
            (dataset(name), scope)
        });
        Datasets::new(datasets).unwrap()
    }

    const ALL: [(&str, &[&str]); 4] = [
        ("person", &["id", "number"]),
        ("visit", &["who", "number"]),
        ("note", &["visit", "number"]),
        ("contact", &["of"]),
    ];

    #[test]
    fn domains_of_subjects_links_and_other_columns_differ() {
        let domains = Domains::of_kinds(&shown(&ALL), &kind);
        let of = |name: &str, of: &str| domains.of(&dataset(name), &column(of));
        let visits = KeyDomain::Key {
            dataset: dataset("visit"),
            column: column("number"),
        };
        assert_eq!(of("person", "id"), KeyDomain::Subject);
        assert_eq!(of("visit", "who"), KeyDomain::Subject);
        assert_eq!(of("contact", "of"), KeyDomain::Subject);
        assert_eq!(of("note", "visit"), visits);
        assert_eq!(of("visit", "number"), visits);
        assert_eq!(of("note", "number"), KeyDomain::Column(column("number")));
        assert_eq!(of("person", "number"), KeyDomain::Column(column("number")));
    }

    #[test]
    fn domains_of_hidden_datasets_and_keys_are_unknown() {
        let visible = |datasets: &[(&str, &[&str])]| Domains::of_kinds(&shown(datasets), &kind);
        for datasets in [
            [("note", ["visit"].as_slice())].as_slice(),
            &[("note", &["visit"]), ("visit", &["who"])],
        ] {
            let domains = visible(datasets);
            assert_eq!(
                domains.of(&dataset("note"), &column("visit")),
                KeyDomain::Column(column("visit"))
            );
            assert_eq!(domains.role(&dataset("note"), &column("visit")), ColumnRole::Value);
        }
        let without_notes = visible(&[("visit", &["who", "number"])]);
        let number = KeyDomain::Column(column("number"));
        assert_eq!(without_notes.of(&dataset("visit"), &column("number")), number);
    }

    #[test]
    fn domains_of_roles_are_those_of_kinds() {
        let shown = shown(&ALL);
        let domains = Domains::of_kinds(&shown, &kind);
        let roles = shown.iter().flat_map(|(name, scope)| {
            let role = |column: &ColumnName| (name.clone(), column.clone(), domains.role(name, column));
            scope.columns.names().map(role).collect::<Vec<_>>()
        });
        let stated = Domains::of_roles(roles);
        for (name, scope) in shown.iter() {
            for column in scope.columns.names() {
                assert_eq!(stated.of(name, column), domains.of(name, column), "{name}.{column}");
            }
        }
    }
}
