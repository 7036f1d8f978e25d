//! The columns of an answer below tier `records`, before anything is computed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use concordat_disclosure::Released;
use concordat_protocol::{
    collection::CollectionRules,
    ids::DatasetName,
    schema::VersionNumber,
    scope::{Scope, Tier},
};
use serde::{Deserialize, Serialize};

use super::{
    existence::existence_columns,
    planned::{Planned, planned},
    task::Planning,
    tier::check_tier,
};
use crate::{
    Bounds, QueryError,
    decision::{cells_tables, computed_above},
    grouping::withheld,
    statistic::{Beyond, FigureOrder, LimitedValues, Statistic},
    text,
    worker::messages::{decode, encode, failed, schema_bytes, schema_of},
};

/// What a holder shows of a collection below `records`, as far as the columns of an answer depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownStatistics {
    /// The permission.
    pub scope: Scope,
    /// What conditions and groups may distinguish.
    pub rules: CollectionRules,
    /// The columns of each dataset that the permission covers, as they are stored.
    pub columns: BTreeMap<DatasetName, SchemaRef>,
}

/// What an answer below tier `records` will be, as far as it follows from the text and the declarations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeseenFigures {
    /// Its columns: names and Arrow types, all nullable, without metadata.
    pub columns: SchemaRef,
    /// The orders of figures that decide about first rows and ranks, of which its reader has to know.
    pub orders: BTreeSet<FigureOrder>,
    /// The groups that have values beyond the outermost edges, of which its reader has to know as well.
    pub beyond: BTreeSet<Beyond>,
    /// The ranges to which values are limited, and the quantiles within bands.
    pub limited: BTreeSet<LimitedValues>,
    /// How many figures of each cell are computed, over all groupings: as many as count where the number of figures with noise is limited.
    pub figures: u64,
}

/// [`ShownStatistics`] as it is sent to a process.
#[derive(Serialize, Deserialize)]
struct Encoded {
    scope: Scope,
    rules: CollectionRules,
    columns: Vec<(DatasetName, Vec<u8>)>,
}

impl ShownStatistics {
    /// The encoding, in which every number stays the same one.
    ///
    /// # Errors
    /// [`QueryError::Engine`] if a column has a type that is not sent.
    pub fn to_bytes(&self) -> Result<Vec<u8>, QueryError> {
        let columns = self.columns.iter();
        let columns = columns.map(|(name, schema)| Ok((name.clone(), schema_bytes(schema)?)));
        let encoded = Encoded {
            scope: self.scope.clone(),
            rules: self.rules.clone(),
            columns: columns.collect::<Result<_, QueryError>>()?,
        };
        encode(&encoded).map(|bytes| bytes.to_vec())
    }

    /// What [`Self::to_bytes`] has encoded.
    ///
    /// # Errors
    /// [`QueryError::Engine`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QueryError> {
        let Encoded { scope, rules, columns } = decode(bytes)?;
        let columns = columns.into_iter();
        let columns = columns.map(|(name, schema)| Some((name, schema_of(&schema)?)));
        let columns = columns.collect::<Option<_>>().ok_or(failed())?;
        Ok(Self { scope, rules, columns })
    }
}

/// Everything that a holder checks of a text before it reads a row, and what its answer will be, as [`foreseen`](crate::foreseen()).
///
/// It walks the text recursively, so it needs a thread with a large stack, as in an engine process.
///
/// # Errors
/// The error with which the holder would refuse the text.
pub async fn foreseen_statistic(
    sql: &str,
    version: Option<VersionNumber>,
    shown: &ShownStatistics,
) -> Result<ForeseenFigures, QueryError> {
    let columns = |name: &DatasetName| shown.columns.get(name).map(Arc::clone);
    let scoped = (shown.scope.clone(), shown.rules.clone());
    let planning = Planning::over(&columns, scoped, (sql, version), &Bounds::default())?;
    let Planned { lowered, known, state } = planned(&planning).await?;
    let statistics: Vec<Statistic> = lowered.blocks.iter().map(|block| block.statistic.clone()).collect();
    check_tier(shown.scope.tier, &statistics)?;
    let figures = statistics
        .iter()
        .map(|statistic| statistic.cells().len())
        .sum::<usize>();
    let figures = u64::try_from(figures).unwrap_or(u64::MAX);
    if shown.scope.tier == Tier::Exists {
        return Ok(ForeseenFigures {
            columns: existence_columns(),
            orders: BTreeSet::new(),
            beyond: BTreeSet::new(),
            limited: BTreeSet::new(),
            figures,
        });
    }
    let limited = statistics.iter().map(|statistic| LimitedValues::of(statistic, &known));
    let limited = limited.flatten().collect();
    let nothing = statistics.iter().map(|statistic| withheld(statistic, &known));
    let nothing = nothing.collect::<Result<Vec<Released>, QueryError>>()?;
    let tables = cells_tables(&lowered, &known, &nothing)?;
    let dataset = planning.dataset().ok_or(failed())?;
    // Its columns are known before it is executed, which it is not.
    let stream = computed_above(&state, &lowered, &tables, &dataset).await?;
    Ok(ForeseenFigures {
        columns: text::owned_schema(&stream.schema())?,
        orders: lowered.orders,
        beyond: lowered.beyond,
        limited,
        figures,
    })
}
