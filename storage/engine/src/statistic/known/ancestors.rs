//! The codes above those of a column that are groups.

use concordat_protocol::{
    collection::{Levels, ListedValues},
    ids::{ColumnName, DatasetName},
};

use super::KnownCollection;
use crate::statistic::paths::{ColumnPath, Row, Step};

impl KnownCollection {
    /// The declared codes above those of a column that are groups, with their names, and the column that has them in a row of the hierarchy. `key`
    /// has the code below in such a row, and `name` is where it has the name. `None` unless codes and names are declared to be there, and both
    /// are shown as they are.
    pub(in crate::statistic) fn ancestors_of(
        &self,
        (dataset, column): (&DatasetName, &ColumnName),
        key: &ColumnName,
        name: &ColumnPath,
    ) -> Option<(ColumnPath, &ListedValues)> {
        let Levels::Codes(codes) = &self.column(dataset, column)?.levels else {
            return None;
        };
        let (hierarchy, names) = codes.hierarchy().zip(codes.names())?;
        let above = ColumnPath::new(Row::This, &hierarchy.dataset, Vec::new(), hierarchy.ancestor.clone())?;
        let Some(Step::Link(link)) = name.via().last() else {
            return None;
        };
        let is_name = names.dataset == *name.dataset() && names.name == *name.column() && names.code == link.key;
        let is_above = hierarchy.descendant == *key && name.linked_by().as_ref() == Some(&above);
        let are_clear = [&above, name]
            .iter()
            .all(|path| self.clear.contains(&(path.dataset().clone(), path.column().clone())));
        let groups = codes.ancestors().filter(|_| is_name && is_above && are_clear)?;
        Some((above, groups))
    }
}
