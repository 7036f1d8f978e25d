//! Datasets as documents.

use concordat_documents::dataset::{
    Dataset, DatasetColumn, DatasetSummary, DatasetVersion, Erasure, LimitsAtTier, LimitsBelowRecords,
    QueriesBelowRecords, TierLimits,
};
use concordat_policy::ColumnFacts;
use concordat_protocol::scope::{Tier, Transform};
use concordat_storage::catalog::{CatalogError, DatasetRecord, ErasureStatement, Manifest};
use data_encoding::BASE64;

use crate::node::Node;

/// A dataset in a list.
pub(super) fn summary(node: &Node, record: &DatasetRecord) -> Result<DatasetSummary, CatalogError> {
    let catalog = node.storage().catalog();
    let version = catalog.open_version(&record.name, None)?;
    let manifest = version.manifest();
    Ok(DatasetSummary {
        name: record.name.clone(),
        segment: record.segment.clone(),
        version: record.current,
        rows: manifest.rows,
        columns: count(manifest.own_columns().count()),
        unclassified: count(catalog.datasets().unclassified(record)?.len()),
        published: record.published,
    })
}

/// A dataset with its columns and limits.
pub(super) fn details(node: &Node, record: &DatasetRecord) -> Result<Dataset, CatalogError> {
    let version = node.storage().catalog().open_version(&record.name, None)?;
    let manifest = version.manifest();
    let columns = manifest.own_columns().map(|column| {
        let class = record.classification.class(&column.name);
        let generalization = ColumnFacts::new(column.name.clone(), class, column.kind).generalization;
        DatasetColumn {
            name: column.name.clone(),
            kind: column.kind.label().to_owned(),
            nullable: column.nullable,
            class,
            generalization: generalization.map(|how| Transform::Generalized(how).to_string()),
        }
    });
    Ok(Dataset {
        name: record.name.clone(),
        segment: record.segment.clone(),
        version: record.current,
        oldest_version: record.oldest,
        keep: record.keep,
        rows: manifest.rows,
        subject_column: (!record.subject.is_reserved()).then(|| record.subject.clone()),
        subjects_numbered: version.has_ordinals(),
        published: record.published,
        sensitive: record.release.sensitive,
        births: record.release.births.clone(),
        limits: limits(node, record),
        below_records: below_records(node, record),
        columns: columns.collect(),
        source: self::version(manifest),
    })
}

/// The effective limits of queries below `records`, and which of them the steward has set.
fn below_records(node: &Node, record: &DatasetRecord) -> LimitsBelowRecords {
    let policy = node.policies().live().current();
    // They are the same at every tier.
    let limits = policy.limits(&record.release, Tier::Aggregate);
    let set = record.release.below_records;
    LimitsBelowRecords {
        person: limits.person_queries_below_records,
        institution: limits.institution_queries_below_records,
        all: limits.all_queries_below_records,
        set: QueriesBelowRecords {
            person: set.person,
            institution: set.institution,
            all: set.all,
        },
    }
}

/// The effective limits at each tier, and which of them the steward has set.
fn limits(node: &Node, record: &DatasetRecord) -> Vec<LimitsAtTier> {
    let policy = node.policies().live().current();
    let at = |tier: Tier| {
        let limits = policy.limits(&record.release, tier);
        let set = record.release.at(tier);
        LimitsAtTier {
            tier,
            min_cell: limits.min_cell,
            queries_per_day: limits.max_queries_per_day,
            max_rows: limits.max_rows,
            days: limits.max_days,
            set: TierLimits {
                min_cell: set.min_cell,
                queries_per_day: set.queries_per_day,
                max_rows: set.max_rows,
                days: set.days,
            },
        }
    };
    [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records]
        .map(at)
        .to_vec()
}

/// A version, and where it comes from.
pub(super) fn version(manifest: &Manifest) -> DatasetVersion {
    let source = &manifest.provenance;
    DatasetVersion {
        version: manifest.version,
        rows: manifest.rows,
        objects: count(manifest.objects.len()),
        bytes: manifest.objects.iter().map(|object| object.len).sum(),
        file: source.file.to_string(),
        blake3: source.blake3,
        imported_at: source.imported_at.to_string(),
        by: source.by.clone(),
    }
}

/// The fields of the statement, and the statement as it was signed.
pub(super) fn erasure(statement: &ErasureStatement) -> Erasure {
    let erasure = statement.document();
    Erasure {
        dataset: erasure.dataset.clone(),
        keys: erasure.keys.clone(),
        versions: erasure.versions,
        objects: erasure.objects,
        at: erasure.at.to_string(),
        by: erasure.by.clone(),
        reason: erasure.reason.clone(),
        statement: BASE64.encode(statement.signed().as_bytes()),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
