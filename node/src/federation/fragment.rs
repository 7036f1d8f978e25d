//! The text of a member's part of a grouping, in that member's own column names and types.

mod whole_numbers;

use std::sync::Arc;

use concordat_engine::foreseen;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, cast, lit, try_cast};
use datafusion::sql::unparser::dialect::CustomDialectBuilder;
use datafusion::sql::unparser::{Unparser, expr_to_sql};

use super::cell_table::CellTable;
use super::error::FederationError;
use super::institution::{institution_only, may_be_true_at};
use super::source::{MemberQuery, Target};
use super::statement::{TableName, separate_signs, table_text};
use super::union_table::{Member, UnionTable, widened};
use whole_numbers::WholeNumbers;

/// The column that counts rows where there is nothing else to request.
pub(super) const ROWS: &str = "n";

/// One grouping that members answer.
#[derive(Debug)]
pub(super) struct Fragment {
    /// The table of its answers.
    pub(super) name: String,
    /// The columns of that table.
    pub(super) schema: SchemaRef,
    /// How many of them are groups, and their names in the query.
    pub(super) groups: Vec<String>,
    /// The aggregates of the query.
    pub(super) measures: Vec<Measure>,
    /// What each member is asked.
    pub(super) queries: Vec<FragmentQuery>,
    /// How the table is made of the answers if they are cells; if `None`, it has their rows.
    pub(super) cells: Option<CellTable>,
}

impl Fragment {
    /// What the query calls the values of the column at `at` of the table of answers: a group, or an aggregate that they are a part of.
    pub(super) fn column_in_query(&self, at: usize) -> &str {
        let part = at.checked_sub(self.groups.len());
        let measure = part.and_then(|part| self.measures.iter().find(|measure| measure.parts.contains(&part)));
        let group = self.groups.get(at).map(String::as_str);
        group
            .or(measure.map(|measure| measure.name.as_str()))
            .unwrap_or(&self.name)
    }
}

/// An aggregate of the query, and the columns of the answers that it is combined from.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    /// Its name in the query.
    pub(super) name: String,
    /// The columns that have to be there, by their numbers.
    pub(super) parts: Vec<usize>,
    /// The column that counts the values.
    pub(super) count: Option<usize>,
}

/// The part of one member.
#[derive(Debug)]
pub(super) struct FragmentQuery {
    /// The member.
    pub(super) target: Target,
    /// What is sent to it.
    pub(super) query: MemberQuery,
    /// The groups, by their position, that are the name of its institution.
    pub(super) institution: Vec<usize>,
}

/// What the members of a table are asked.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) table_name: &'a TableName,
    pub(super) table: &'a UnionTable,
    pub(super) groups: &'a [Expr],
    pub(super) measures: &'a [Expr],
    pub(super) conditions: &'a [&'a Expr],
}

/// The part of one member, and the columns of its answer.
#[derive(Debug)]
pub(super) struct MemberPart {
    query: FragmentQuery,
}

impl Parts<'_> {
    /// The query for `member`; `None` if a condition on the institution leaves it out. The inner error states why it cannot answer.
    ///
    /// # Errors
    /// If the engine fails.
    pub(super) async fn for_member(
        &self,
        member: &Member,
        state: &SessionState,
    ) -> Result<Result<Option<MemberPart>, String>, FederationError> {
        let of_member = OfMember::new(self.table, member);
        let mut conditions = Vec::new();
        for condition in self.conditions {
            if !may_be_true_at(condition, self.table, &member.target.dataset.institution, state)? {
                return Ok(Ok(None));
            }
            if !institution_only(condition, self.table) {
                conditions.push(*condition);
            }
        }
        let mut items = Vec::new();
        let mut keys = Vec::new();
        let mut institution = Vec::new();
        for (at, group) in self.groups.iter().enumerate() {
            if of_member.is_institution(group) {
                institution.push(at);
                continue;
            }
            let key = match of_member.text(group)? {
                Ok(key) => key,
                Err(obstacle) => return Ok(Err(obstacle)),
            };
            items.push(format!("{key} AS \"g{at}\""));
            keys.push(key);
        }
        for (at, part) in self.measures.iter().enumerate() {
            match of_member.text(part)? {
                Ok(measure) => items.push(format!("{measure} AS \"a{at}\"")),
                Err(obstacle) => return Ok(Err(obstacle)),
            }
        }
        // Without any other group, a member without matching rows would still return one row.
        if items.is_empty() || keys.is_empty() && !institution.is_empty() {
            items.push(format!("count(*) AS \"{ROWS}\""));
        }
        let table = table_text(&member.target.dataset.dataset, member.target.version);
        let mut sql = format!("SELECT {} FROM {table}", items.join(", "));
        let mut texts = Vec::new();
        for condition in conditions {
            match of_member.text(condition)? {
                Ok(text) => texts.push(format!("({text})")),
                Err(obstacle) => return Ok(Err(obstacle)),
            }
        }
        if !texts.is_empty() {
            sql.push_str(&format!(" WHERE {}", texts.join(" AND ")));
        }
        if !keys.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        let target = &member.target;
        match foreseen(&sql, &target.dataset, target.version, &member.schema, target.tier).await {
            Ok(schema) => Ok(Ok(Some(MemberPart {
                query: FragmentQuery {
                    target: target.clone(),
                    query: MemberQuery {
                        sql,
                        schema,
                        grouped: !keys.is_empty(),
                        figures: None,
                    },
                    institution,
                },
            }))),
            Err(refused) => Ok(Err(refused.to_string())),
        }
    }

    /// The fragment made of the parts of all members, for the aggregates `combined`.
    ///
    /// # Errors
    /// [`FederationError::Usage`] if no member is left.
    pub(super) fn fragment(
        &self,
        name: &str,
        members: Vec<MemberPart>,
        combined: Vec<Measure>,
    ) -> Result<Fragment, FederationError> {
        if members.is_empty() {
            return Err(FederationError::usage(format!(
                "no member's part of `{}` is left under the conditions of the query",
                self.table_name
            )));
        }
        let queries: Vec<FragmentQuery> = members.into_iter().map(|part| part.query).collect();
        let groups = self.groups.iter().enumerate();
        let groups = groups.map(|(at, group)| (format!("g{at}"), self.type_of_column(group)));
        let measures = self.measures.iter().enumerate();
        let measures = measures.map(|(at, measure)| (format!("a{at}"), self.type_of_value(measure)));
        let fields: Vec<FieldRef> = groups
            .chain(measures)
            .map(|(column, known)| {
                let data_type = known.unwrap_or_else(|| type_of(&column, &queries));
                Arc::new(Field::new(&column, data_type, true))
            })
            .collect();
        Ok(Fragment {
            name: name.to_owned(),
            schema: Arc::new(Schema::new(fields)),
            groups: self.groups.iter().map(shown).collect(),
            measures: combined,
            queries,
            cells: None,
        })
    }

    /// The type of a column of the table; members may return another one.
    fn type_of_column(&self, expression: &Expr) -> Option<DataType> {
        let Expr::Column(column) = expression.clone().unalias() else {
            return None;
        };
        let field = self.table.schema.field_with_name(&column.name).ok()?;
        Some(field.data_type().clone())
    }

    /// The type of an aggregate whose result is a value of a column of the table.
    fn type_of_value(&self, measure: &Expr) -> Option<DataType> {
        let Expr::AggregateFunction(function) = measure.clone().unalias() else {
            return None;
        };
        let is_value = matches!(function.func.name(), "max" | "min");
        self.type_of_column(function.params.args.first().filter(|_| is_value)?)
    }
}

/// The type of a column of the answers; text if no member answers it, because then it is the name of the institution.
fn type_of(column: &str, queries: &[FragmentQuery]) -> DataType {
    let types = queries
        .iter()
        .filter_map(|query| query.query.schema.field_with_name(column).ok())
        .map(|field| field.data_type().clone());
    types
        .reduce(|left, right| widened(&left, &right).unwrap_or(left))
        .unwrap_or(DataType::Utf8)
}

/// A group as people know it: the name of its column, or its text.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other group is shown as its text")]
fn shown(group: &Expr) -> String {
    match group {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => alias.name.clone(),
        other => written(other),
    }
}

/// An aggregate as a person would write it.
pub(super) fn aggregate_text(measure: &Expr) -> String {
    if let Expr::AggregateFunction(function) = measure.clone().unalias()
        && function.func.name() == "count"
        && matches!(function.params.args.as_slice(), [Expr::Literal(..)])
    {
        return "count(*)".to_owned();
    }
    written(measure)
}

/// What is summed, as in the message of one holder.
pub(super) fn operand_text(argument: &Expr) -> String {
    if let Expr::Cast(cast) = argument {
        written(&cast.expr)
    } else {
        written(argument)
    }
}

/// An expression as a person would write it: without the names of tables, and without texts, which may name a person.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other part is shown as it is")]
fn written(expression: &Expr) -> String {
    let bare = expression.clone().unalias().transform(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            Expr::Literal(value, _) if value.data_type().is_string() => Transformed::yes(lit("…")),
            part => Transformed::no(part),
        })
    });
    let text = bare.and_then(|bare| expr_to_sql(&bare.data));
    text.map_or_else(|_| "the expression".to_owned(), |text| text.to_string())
}

/// Expressions over the union, as a member computes them.
struct OfMember<'a> {
    table: &'a UnionTable,
    member: &'a Member,
    whole_numbers: WholeNumbers,
}

impl<'a> OfMember<'a> {
    fn new(table: &'a UnionTable, member: &'a Member) -> Self {
        let columns = table.schema.fields().iter().enumerate();
        let whole = columns.filter_map(|(at, field)| {
            let own = member.column(at)?;
            let is_converted = own.data_type().is_integer() && field.data_type().is_floating();
            is_converted.then(|| own.name().clone())
        });
        Self {
            table,
            member,
            whole_numbers: WholeNumbers::new(whole),
        }
    }

    fn is_institution(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Column(column) if self.position(&column.name).is_some_and(|at| self.table.is_institution(at)))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.table.schema.index_of(name).ok()
    }

    /// `expression` as SQL; the inner error states why it cannot be sent.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other part stays as it is")]
    fn text(&self, expression: &Expr) -> Result<Result<String, String>, FederationError> {
        let mut obstacle = None;
        let own = expression.clone().unalias().transform_up(|part| {
            Ok(match part {
                Expr::Column(column) => match self.column(&column.name) {
                    Some(own) => Transformed::yes(own),
                    None => {
                        obstacle.get_or_insert_with(|| format!("`{}` is not a column of every member", column.name));
                        Transformed::no(Expr::Column(column))
                    }
                },
                Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                    obstacle.get_or_insert_with(|| "it contains a subquery".to_owned());
                    Transformed::no(part)
                }
                other => Transformed::no(other),
            })
        })?;
        if let Some(obstacle) = obstacle {
            return Ok(Err(obstacle));
        }
        let own = match self.whole_numbers.unchanged_in(own.data)? {
            Ok(own) => own,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let dialect = CustomDialectBuilder::new().with_identifier_quote_style('"').build();
        let text = Unparser::new(&dialect).expr_to_sql(&own);
        let printed = text.map(|mut text| {
            separate_signs(&mut text);
            text.to_string()
        });
        Ok(printed.map_err(|_| "a part of it has no form that can be sent".to_owned()))
    }

    /// The member's own column, in the type of the union.
    fn column(&self, name: &str) -> Option<Expr> {
        let at = self.position(name)?;
        if self.table.is_institution(at) {
            return Some(lit(self.member.target.dataset.institution.as_str()));
        }
        let own = self.member.column(at)?;
        let column = Expr::Column(Column::new_unqualified(own.name()));
        let of_union = self.table.schema.field(at).data_type();
        // Only a column without values is text where the union is not; `TRY_CAST` cannot fail on it.
        Some(match (own.data_type(), of_union) {
            (own, of_union) if own == of_union => column,
            (DataType::Utf8, _) => try_cast(column, of_union.clone()),
            (_, _) => cast(column, of_union.clone()),
        })
    }
}
