//! Groups by the names of codes above others, such as the ingredients of drugs, of which no condition names the values.
//!
//! 1. Which codes are groups is declared, with their names: what describes a cell follows from the text and the declarations, and nothing is
//!    looked up.
//! 2. A group is the condition that a code is listed below this code, with all other conditions on the rows that list it: that of a query with
//!    `ancestor_concept_id = 5`. A code may be below several, so that groups overlap, as those by values that a condition names do.
//! 3. All other codes above are one group, so that no row is left out in silence. A row is in it once, also if several of these are above its
//!    code.

use concordat_protocol::{
    collection::{AtomId, Levels, ListedValues},
    scope::Value,
};

use super::{
    listings::{Listing, named_values},
    state::{Frame, Lowering, Result, refused},
};
use crate::statistic::{
    forms::Form,
    paths::ColumnPath,
    terms::{Condition, ReferenceTest},
};

/// Codes with one name, in ascending order.
type Named = (Value, Vec<Value>);

impl Lowering<'_> {
    /// The groups by a column with the names of declared codes above those that are listed, and whether a code is listed in each of them at most
    /// once. `rows` is the condition on the rows that list codes.
    ///
    /// # Errors
    /// [`Form::ListedGroup`] if no codes with names in this column are declared.
    pub(super) fn groups_above(
        &self,
        listing: &Listing,
        (rows, name): (&Condition, &ColumnPath),
        frame: &Frame<'_>,
    ) -> Result<(Vec<(Value, Condition)>, bool)> {
        let has_no_form = || refused(Form::ListedGroup);
        let (id, column) = &listing.of;
        let dataset = self.rows(*id).ok_or_else(has_no_form)?;
        let declared = self.known.ancestors_of((dataset, column), &listing.key, name);
        let (above, declared) = declared.ok_or_else(has_no_form)?;
        // Codes that a condition names are the only ones that are listed.
        let named = rows.conjuncts().iter().find_map(|part| named_values(part, &above));
        let groups = by_name(declared, named);
        let is_once = groups.iter().all(|(_, codes)| codes.len() == 1);
        let listed_where = |codes: Vec<Value>, negated: bool| {
            let is_above = Condition::Reference {
                of: above.clone(),
                test: ReferenceTest::OneOf(codes),
                negated,
            };
            let all = rows.conjuncts().iter().cloned().chain([is_above]).collect();
            self.is_listed(listing, self.known.where_true(Condition::all(all)), frame)
        };
        let mut codes: Vec<Value> = groups.iter().flat_map(|(_, codes)| codes.clone()).collect();
        codes.sort();
        let mut found = Vec::new();
        for (label, codes) in groups {
            found.push((label, listed_where(codes, false)?));
        }
        let others = declared.atoms().saturating_sub(1);
        let label = Levels::Values(declared.clone()).label(&AtomId::Listed(others));
        let others = if codes.is_empty() {
            self.is_listed(listing, rows.clone(), frame)?
        } else {
            listed_where(codes, true)?
        };
        found.push((Value::Text(label.ok_or_else(has_no_form)?), others));
        Ok((found, is_once))
    }
}

/// The declared codes by their names, of those that a condition names if it names some.
fn by_name(declared: &ListedValues, named: Option<&[Value]>) -> Vec<Named> {
    let mut groups: Vec<Named> = Vec::new();
    let is_named = |code: &Value| named.is_none_or(|named| named.contains(code));
    for listed in declared.iter().filter(|listed| is_named(&listed.value)) {
        let label = Value::Text(listed.label.to_string());
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, codes)) => codes.push(listed.value.clone()),
            None => groups.push((label, vec![listed.value.clone()])),
        }
    }
    groups
}
