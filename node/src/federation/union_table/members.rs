//! The same table with some of its members.

use std::sync::Arc;

use concordat_protocol::ids::{DatasetName, InstitutionId};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::{Member, MemberColumns, UnionTable};
use crate::federation::source::Target;

impl Member {
    /// The columns that the member shows.
    pub(in crate::federation) fn columns_shown(&self) -> MemberColumns {
        MemberColumns {
            schema: Arc::clone(&self.schema),
            empty: self.empty.clone(),
        }
    }
}

impl UnionTable {
    /// The same table with these columns of its members; those of a member for which there are none stay.
    pub(in crate::federation) fn with_schemas(
        &self,
        dataset: &DatasetName,
        is_of_one: bool,
        schema_of: &dyn Fn(&Target) -> Option<SchemaRef>,
    ) -> Self {
        let members = self.members.iter().map(|member| {
            let columns = member.columns_shown();
            let schema = schema_of(&member.target).unwrap_or(columns.schema);
            let empty = columns.empty;
            (member.target.clone(), MemberColumns { schema, empty })
        });
        let mut members: Vec<_> = members.collect();
        if !is_of_one {
            return Self::of_members(dataset, members);
        }
        match members.pop() {
            Some((target, columns)) => Self::single(target, columns.schema),
            None => self.clone(),
        }
    }

    /// The table of those members only for which `keep` is true. The columns of the others do not count.
    pub(in crate::federation) fn only(&self, dataset: &DatasetName, keep: impl Fn(&InstitutionId) -> bool) -> Self {
        let members = self.members.iter();
        let kept = members.filter(|member| keep(&member.target.dataset.institution));
        let kept = kept.map(|member| (member.target.clone(), member.columns_shown()));
        Self::of_members(dataset, kept.collect())
    }

    /// The same table in which a column that cannot be combined has the type that it has at `institution`, or at a member that has it.
    pub(in crate::federation) fn typed_by(&self, institution: &InstitutionId) -> Self {
        let mut members = self.members.iter();
        let member = members.find(|member| member.target.dataset.institution == *institution);
        let typed = |(at, field): (usize, &FieldRef)| match self.conflicts.get(field.name()) {
            None => Arc::clone(field),
            Some(conflict) => {
                let own = member.and_then(|member| member.column(at)).unwrap_or(&conflict.left.1);
                Arc::new(own.as_ref().clone().with_name(field.name()).with_nullable(true))
            }
        };
        let fields: Vec<FieldRef> = self.schema.fields().iter().enumerate().map(typed).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            ..self.clone()
        }
    }

    /// Whether there are columns that cannot be combined.
    pub(in crate::federation) fn has_conflicts(&self) -> bool {
        !self.conflicts.is_empty()
    }

    /// Whether the table has the column that names the institution of each row.
    pub(in crate::federation) fn has_institution(&self) -> bool {
        self.institution.is_some()
    }
}
