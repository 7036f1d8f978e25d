//! A query that the holder of one collection answers as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_engine::{Beyond, FigureOrder, LimitedValues, QueryError, foreseen_in_collection};
use concordat_protocol::scope::Tier;
use datafusion::sql::sqlparser::ast::Query;

use super::queried::names_institution;
use crate::federation::declared::nothing_declared;
use crate::federation::source::{MemberQuery, Target};
use crate::federation::statement::{TableName, is_grouped, separate_signs, use_provider_table_name};
use crate::federation::tables::Tables;
use crate::federation::union_table::Member;

/// The datasets of a query that are all of one collection, and shown in their current version under one permission.
pub(super) struct Joined<'a> {
    /// One of them.
    pub(super) target: &'a Target,
    tables: Vec<(&'a TableName, &'a Member)>,
}

/// What follows from a text about its answer.
#[derive(Default)]
pub(super) struct KnownOfText {
    /// The orders of figures that decide about first rows and ranks.
    pub(super) orders: BTreeSet<FigureOrder>,
    /// The groups that have values beyond the outermost edges.
    pub(super) beyond: BTreeSet<Beyond>,
    /// The ranges to which values are limited, and the quantiles within bands.
    pub(super) limited: BTreeSet<LimitedValues>,
}

impl<'a> Joined<'a> {
    /// The datasets of the tables that a query names; `None` if they are of different permissions, at tier `records` also if they are named
    /// without a collection, and if the query uses what their holder does not have.
    pub(super) fn of(named: &'a BTreeSet<TableName>, tables: &'a Tables, query: &Query) -> Option<Self> {
        let mut joined = Vec::new();
        for name in named {
            let table = tables.get(name)?;
            let [member] = table.members.as_slice() else {
                return None;
            };
            if table.has_renamed() || table.has_institution() && names_institution(query) {
                return None;
            }
            joined.push((name, member));
        }
        let (_, first) = joined.first()?;
        let target = &first.target;
        let is_joined = |(name, member): &(&TableName, &Member)| {
            let other = &member.target;
            (name.collection.is_some() || target.tier < Tier::Records)
                && name.version.is_none()
                && other.dataset.collection() == target.dataset.collection()
                && (other.access, &other.purpose) == (target.access, &target.purpose)
                && (other.tier, other.version) == (target.tier, None)
        };
        joined.iter().all(is_joined).then_some(Self { target, tables: joined })
    }

    /// The query as a whole, for the holder of the collection, with what the reader of its answer has to know.
    ///
    /// # Errors
    /// The error with which the holder would refuse it.
    pub(super) async fn whole(&self, query: &Query, tables: &Tables) -> Result<(MemberQuery, KnownOfText), QueryError> {
        let mut query = query.clone();
        for (name, _) in &self.tables {
            use_provider_table_name(&mut query, name);
        }
        separate_signs(&mut query);
        let sql = query.to_string();
        let (schema, known, number) = if self.target.tier < Tier::Records {
            let declared = tables.declared(self.target).ok_or_else(nothing_declared)?;
            let figures = declared.figures(&sql, self.target).await?;
            let known = KnownOfText {
                orders: figures.orders,
                beyond: figures.beyond,
                limited: figures.limited,
            };
            (figures.columns, known, Some(figures.figures))
        } else {
            let dataset = |(name, member): &(&TableName, &Member)| (name.dataset.clone(), Arc::clone(&member.schema));
            let shown: BTreeMap<_, _> = self.tables.iter().map(dataset).collect();
            let collection = self.target.dataset.collection();
            let schema = foreseen_in_collection(&sql, &collection, None, &shown).await?;
            (schema, KnownOfText::default(), None)
        };
        let query = MemberQuery {
            grouped: is_grouped(&query),
            sql,
            schema,
            figures: number,
        };
        Ok((query, known))
    }
}
