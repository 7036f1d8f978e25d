//! What a grant shows: the columns of the current version that its scope names, with their types. The consumer plans its queries on them.
//!
//! With them are the declarations of the collection, as far as the scope shows them: by these the consumer knows what a statistic may
//! distinguish, and a query states the digest of those that it was planned on ([`check_declared`]).
//!
//! No value and no number of rows is shown, and of datasets and columns only what the negotiation and the catalog have shown before. So the
//! policy is not asked; the grant must be active.

use concordat_engine::Domains;
use concordat_network::hello::Attested;
use concordat_network::{FramedStream, NetworkError};
use concordat_protocol::collection::{CollectionRules, ColumnRole, DatasetKind};
use concordat_protocol::ids::{CollectionName, DatasetName, GrantId};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{self, Columns, DatasetScope, InvalidScope, Rows, Transform};
use concordat_protocol::wire::messages::{
    GrantColumnsReply, GrantColumnsRequest, GrantedColumn, GrantedDataset, GrantedDatasets, Refusal, RefusalCode,
};
use concordat_storage::catalog::{
    CatalogError, CollectionManifest, CollectionRecord, ColumnMeta, DatasetManifest, Datasets,
};

use super::case::Case;
use super::handle::Sharing;
use super::party_limits::Party;
use super::refusal::{failed, invalid};
use super::wait_deadline::WaitDeadline;

impl Sharing {
    /// Answers requests for the columns of grants, one at a time for each institution.
    pub(super) async fn send_grant_columns(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let consumer = stream.session().until_attested().await?;
        while let Some(GrantColumnsRequest { grant }) = stream.recv().await? {
            let reply = match self.granted_columns(&grant, &consumer).await {
                Ok(datasets) => GrantColumnsReply::Datasets(datasets),
                Err(refusal) => GrantColumnsReply::Refused(refusal),
            };
            stream.send(&reply).await?;
        }
        stream.close().await
    }

    async fn granted_columns(&self, grant: &GrantId, consumer: &Attested) -> Result<GrantedDatasets, Refusal> {
        let parts = &self.0.parts;
        let party = Party::Institution(consumer.institution.clone());
        let _slot = self.0.limits.decision_slot(&party, WaitDeadline::start()).await?;
        let lease = parts.grants.lease(grant, consumer, parts.clock.now()).await?;
        let scope = &lease.terms().scope;
        let known = self.known_datasets(&scope.collection.collection, None).await?;
        // Asked afterward: another collection of the same name is not the one that was granted.
        let facts = lease.dataset().facts(&parts.storage).await;
        let facts = facts.map_err(|_| failed("the catalog cannot be read"))?;
        let erased = || Refusal::because(RefusalCode::Denied, "the dataset that the grant is about was erased");
        let known = known.filter(|_| facts.is_some()).ok_or_else(erased)?;
        Ok(known.shown_by(&scope.datasets))
    }

    /// The columns of the datasets of a version of an own collection, `None` for the current one, as if all of them were granted; `None` if
    /// there is no such collection or version.
    ///
    /// # Errors
    /// [`Refusal`] if the catalog cannot be read.
    pub(crate) async fn own_columns(
        &self,
        collection: &CollectionName,
        version: Option<VersionNumber>,
    ) -> Result<Option<GrantedDatasets>, Refusal> {
        let known = self.known_datasets(collection, version).await?;
        let Some(known) = known else { return Ok(None) };
        let everything = known.everything().map_err(|error| failed(&error.to_string()))?;
        Ok(Some(known.shown_by(&everything)))
    }

    async fn known_datasets(
        &self,
        collection: &CollectionName,
        version: Option<VersionNumber>,
    ) -> Result<Option<KnownDatasets>, Refusal> {
        let catalog = self.0.parts.storage.catalog().clone();
        let collection = collection.clone();
        let read = move || match catalog.described(&collection, version) {
            Ok((record, manifest)) => Ok(Some(KnownDatasets {
                rules: declared(catalog.datasets(), &record),
                ..KnownDatasets::of(&manifest)
            })),
            Err(CatalogError::NotFound { .. } | CatalogError::NoSuchVersion { .. }) => Ok(None),
            Err(other) => Err(other),
        };
        let known = tokio::task::spawn_blocking(read).await;
        known
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| failed("the catalog cannot be read"))
    }
}

/// What is declared about the collection now, also for an older version; `None` if that does not fit its columns.
fn declared(datasets: &Datasets, record: &CollectionRecord) -> Option<CollectionRules> {
    let rules = datasets.rules(record);
    rules
        .inspect_err(|error| tracing::warn!(%error, "a collection has no rules for statistics"))
        .ok()
}

/// Checks that a query below `records` was planned on what is declared now. A query that does not state it, as one of this institution's
/// own people, is planned when it is answered.
///
/// # Errors
/// [`Refusal`] if the declarations that the grant shows are others by now.
pub(super) fn check_declared(case: &Case, rules: &CollectionRules) -> Result<(), Refusal> {
    let Case::Peer { query, lease, .. } = case else {
        return Ok(());
    };
    let Some(planned_on) = query.envelope().rules else {
        return Ok(());
    };
    let shown = rules.shown_by(&lease.terms().scope.datasets);
    if shown.is_some_and(|shown| shown.digest() == planned_on) {
        Ok(())
    } else {
        Err(invalid(
            "declarations-current",
            "what is declared about the columns has changed since the query was planned; query again",
        ))
    }
}

/// The datasets of a version, as they are stored.
#[derive(Debug)]
struct KnownDatasets {
    datasets: Vec<KnownDataset>,
    /// Whether it is a collection of one: its columns join with no others, so they have no roles.
    is_alone: bool,
    /// What is declared about it.
    rules: Option<CollectionRules>,
}

#[derive(Debug)]
struct KnownDataset {
    name: DatasetName,
    kind: DatasetKind,
    columns: Vec<GrantedColumn>,
}

impl KnownDatasets {
    fn of(manifest: &CollectionManifest) -> Self {
        let column = |column: &ColumnMeta| GrantedColumn {
            name: column.name.clone(),
            kind: column.kind,
            empty: column.empty,
            role: ColumnRole::Value,
        };
        let dataset = |dataset: &DatasetManifest| KnownDataset {
            name: dataset.name.clone(),
            kind: dataset.kind.clone(),
            columns: dataset.own_columns().map(column).collect(),
        };
        Self {
            datasets: manifest.datasets().iter().map(dataset).collect(),
            is_alone: manifest.alone().is_some(),
            rules: None,
        }
    }

    /// All datasets with all of their columns.
    fn everything(&self) -> Result<scope::Datasets, InvalidScope> {
        let mut datasets = Vec::new();
        for dataset in &self.datasets {
            let columns = dataset.columns.iter();
            let columns = Columns::new(columns.map(|column| (column.name.clone(), Transform::Clear)))?;
            let rows = Rows::all();
            datasets.push((dataset.name.clone(), DatasetScope { columns, rows }));
        }
        scope::Datasets::new(datasets)
    }

    /// The datasets and columns that `shown` contains, and which of them join. Nothing else is named.
    fn shown_by(self, shown: &scope::Datasets) -> GrantedDatasets {
        let Self {
            datasets,
            is_alone,
            rules,
        } = self;
        let kind_of = |name: &DatasetName| {
            let found = datasets.iter().find(|dataset| dataset.name == *name)?;
            Some(found.kind.clone())
        };
        let domains = if is_alone {
            Domains::default()
        } else {
            Domains::of_kinds(shown, &kind_of)
        };
        let mut granted = Vec::new();
        for dataset in datasets {
            let Some(scope) = shown.get(&dataset.name) else {
                continue;
            };
            let mut columns = dataset.columns;
            columns.retain(|column| scope.columns.transform(&column.name) != Transform::Removed);
            for column in &mut columns {
                column.role = domains.role(&dataset.name, &column.name);
            }
            granted.push(GrantedDataset {
                name: dataset.name,
                columns,
            });
        }
        GrantedDatasets {
            datasets: granted,
            rules: rules.and_then(|rules| rules.shown_by(shown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::collection::{KeyLink, OwnerLinks};
    use concordat_protocol::schema::ColumnKind;

    use super::*;

    fn dataset(name: &str, kind: DatasetKind, columns: &[&str]) -> KnownDataset {
        let column = |name: &&str| GrantedColumn {
            name: name.parse().unwrap(),
            kind: ColumnKind::Int,
            empty: false,
            role: ColumnRole::Value,
        };
        KnownDataset {
            name: name.parse().unwrap(),
            kind,
            columns: columns.iter().map(column).collect(),
        }
    }

    fn clinic() -> KnownDatasets {
        let link = KeyLink {
            column: "about".parse().unwrap(),
            to: "visit".parse().unwrap(),
            key: "visit_id".parse().unwrap(),
        };
        let owned = DatasetKind::Owned {
            through: OwnerLinks::new(vec![link]).unwrap(),
        };
        let keyed = DatasetKind::Keyed {
            subject: "person_id".parse().unwrap(),
            unique: false,
        };
        KnownDatasets {
            datasets: vec![
                dataset("note", owned, &["about", "text"]),
                dataset("visit", keyed, &["visit_id", "person_id"]),
            ],
            is_alone: false,
            rules: None,
        }
    }

    /// Whatever the reply names is in the grant: neither another dataset nor a key of one.
    #[test]
    fn granted_columns_name_only_what_the_grant_shows() {
        let both = clinic().everything().unwrap();
        let roles = |granted: GrantedDatasets| -> Vec<(String, ColumnRole)> {
            let columns = granted.datasets.into_iter().flat_map(|dataset| dataset.columns);
            columns.map(|column| (column.name.to_string(), column.role)).collect()
        };
        let link = ColumnRole::Link {
            to: "visit".parse().unwrap(),
            key: "visit_id".parse().unwrap(),
        };
        assert_eq!(
            roles(clinic().shown_by(&both)),
            [
                ("about".to_owned(), link),
                ("text".to_owned(), ColumnRole::Value),
                ("visit_id".to_owned(), ColumnRole::Key),
                ("person_id".to_owned(), ColumnRole::Subject),
            ]
        );
        let (note, scope) = both.iter().next().unwrap();
        let only_notes = scope::Datasets::new([(note.clone(), scope.clone())]).unwrap();
        let shown = clinic().shown_by(&only_notes);
        assert_eq!(shown.datasets.len(), 1);
        assert!(roles(shown).iter().all(|(_, role)| *role == ColumnRole::Value));
        let alone = KnownDatasets {
            is_alone: true,
            ..clinic()
        };
        let roles = roles(alone.shown_by(&both));
        assert!(roles.iter().all(|(_, role)| *role == ColumnRole::Value), "{roles:?}");
    }
}
