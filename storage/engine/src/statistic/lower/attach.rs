//! Where each dataset of a grouping is: measured, reached from the measured row, or with events of the same subject.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::collection::DatasetKind;
use datafusion::{
    common::{Column, TableReference},
    logical_expr::Expr,
};

use super::{
    columns::instances_of,
    listings::{ListedValues, Listing},
    state::{Component, End, Frame, Instance, Lowering, Relation, Result, refused},
};
use crate::statistic::{
    block::Measured,
    forms::Form,
    paths::{ColumnPath, MAX_STEPS, Row, Step},
    terms::{Condition, EventSet, Quantity},
};

/// The positions of all datasets of a grouping.
#[derive(Debug)]
pub(super) struct Attached {
    main: Component,
    events: Vec<Component>,
    /// Rows of reference datasets that list codes of these.
    listings: Vec<Listing>,
    /// The listing whose values are groups: each of them is a condition of its own.
    grouped: Option<usize>,
    /// The conditions that are not joins.
    conditions: Vec<Expr>,
    /// Whether a subquery is about the subject of the row around it.
    pub(super) is_correlated: bool,
    /// Equalities of a column of a subquery with one of the row around it, which is the second one.
    pub(super) lookups: Vec<(Column, Column)>,
}

impl Attached {
    /// The instance whose rows are measured.
    pub(super) const fn root(&self) -> Option<usize> {
        self.main.root
    }

    /// Whether subjects must have events in further datasets.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether codes must be listed, by rows of which several may list one code.
    pub(super) const fn has_listings(&self) -> bool {
        !self.listings.is_empty()
    }

    /// Why only subjects can be counted; `None` if rows can. `is_listed_often` is whether a row may occur once for each row that lists it.
    pub(super) fn by_subject(&self, relation: &Relation, repeats_rows: bool, is_listed_often: bool) -> Option<Form> {
        if relation.is_distinct || repeats_rows || self.has_events() {
            Some(relation.reason())
        } else {
            is_listed_often.then_some(Form::ListedRows)
        }
    }

    /// The conditions on the rows of each listing, in the order of the listings, and those on other rows.
    fn conditions_on_listings(&self) -> (Vec<Vec<&Expr>>, Vec<&Expr>) {
        let mut of_listings: Vec<Vec<&Expr>> = self.listings.iter().map(|_| Vec::new()).collect();
        let mut others = Vec::new();
        for part in &self.conditions {
            let used = instances_of([part]);
            let mut pairs = self.listings.iter().zip(&mut of_listings);
            match pairs.find(|(listing, _)| listing.has_one(&used)) {
                Some((_, conditions)) => conditions.push(part),
                None => others.push(part),
            }
        }
        (of_listings, others)
    }

    /// Expressions over the measured row.
    pub(super) const fn frame<'a>(&'a self, outer: Option<&'a Component>) -> Frame<'a> {
        Frame {
            this: &self.main,
            outer,
        }
    }
}

impl Lowering<'_> {
    /// The positions of the datasets of a relation. Of several that could be measured, one of `preferred` is.
    pub(super) fn attach(
        &self,
        relation: &Relation,
        outer: Option<&Component>,
        preferred: &BTreeSet<usize>,
    ) -> Result<Attached> {
        if !relation.numbered.is_empty() {
            return Err(refused(Form::WindowBelow));
        }
        let own: BTreeSet<usize> = relation.instances.iter().copied().collect();
        let mut attached = Attached {
            main: Component::default(),
            events: Vec::new(),
            listings: Vec::new(),
            grouped: None,
            conditions: Vec::new(),
            is_correlated: false,
            lookups: Vec::new(),
        };
        let mut edges = Vec::new();
        let mut correlations = Vec::new();
        for part in &relation.conjuncts {
            match self.edge(part) {
                Some((a, b)) if own.contains(&a.0) && own.contains(&b.0) => edges.push((a, b)),
                Some((a, b)) if own.contains(&a.0) && outer.is_some() => correlations.push((a, b)),
                Some((a, b)) if own.contains(&b.0) && outer.is_some() => correlations.push((b, a)),
                Some(_) | None => attached.conditions.push(part.clone()),
            }
        }
        self.joinable(edges.iter().chain(&correlations))?;
        let mut tables: BTreeSet<usize> = own.iter().copied().filter(|id| self.rows(*id).is_some()).collect();
        if let Some(root) = self.best_root(&tables, &relation.optional, &edges, preferred) {
            attached.main = self.component(root, &mut tables, &edges);
            shorten(&mut attached.main, &relation.optional);
        }
        attached.main.same = self.same_subject(attached.main.root.or_else(|| own.first().copied()), &edges);
        while let Some(root) = self.next_events(&tables, &attached.main, &edges) {
            let mut events = self.component(root, &mut tables, &edges);
            shorten(&mut events, &relation.optional);
            events.same.clone_from(&attached.main.same);
            attached.events.push(events);
        }
        let placed: Vec<&Component> = std::iter::once(&attached.main).chain(&attached.events).collect();
        attached.listings = self.listings(&mut tables, &placed, &edges);
        self.all_joined(relation, &attached, &tables, &edges)?;
        for (inner, around) in correlations {
            self.correlated(&mut attached, inner, around, outer)?;
        }
        Ok(attached)
    }

    /// The dataset from which most others are reached by one row each.
    fn best_root(
        &self,
        tables: &BTreeSet<usize>,
        optional: &BTreeSet<usize>,
        edges: &[(End, End)],
        preferred: &BTreeSet<usize>,
    ) -> Option<usize> {
        let cost = |id: &usize| {
            let mut left = tables.clone();
            self.component(*id, &mut left, edges);
            let name = self.rows(*id);
            let is_reference = name.is_some_and(|name| self.known.is_reference(name));
            (is_reference, left.len(), !preferred.contains(id), name.cloned(), *id)
        };
        tables.difference(optional).copied().min_by_key(cost)
    }

    /// The next dataset with events of the subject, of those that are left.
    fn next_events(&self, left: &BTreeSet<usize>, main: &Component, edges: &[(End, End)]) -> Option<usize> {
        main.root?;
        let same: BTreeSet<usize> = left.intersection(&main.same).copied().collect();
        let cost = |id: &usize| {
            let mut rest = left.clone();
            self.component(*id, &mut rest, edges);
            (rest.len(), *id)
        };
        same.into_iter().min_by_key(cost)
    }

    /// The datasets that a row reaches, which are removed from `left`.
    pub(super) fn component(&self, root: usize, left: &mut BTreeSet<usize>, edges: &[(End, End)]) -> Component {
        let mut places = BTreeMap::from([(root, Vec::new())]);
        left.remove(&root);
        let mut open = vec![root];
        while let Some(from) = open.pop() {
            let via = places.get(&from).cloned().unwrap_or_default();
            for (a, b) in edges.iter().flat_map(|(a, b)| [(a, b), (b, a)]) {
                if a.0 != from || !left.contains(&b.0) || via.len() >= MAX_STEPS {
                    continue;
                }
                if let Some(step) = self.step(a, b) {
                    left.remove(&b.0);
                    places.insert(b.0, via.iter().cloned().chain([step]).collect());
                    open.push(b.0);
                }
            }
        }
        Component {
            root: Some(root),
            places,
            same: BTreeSet::new(),
        }
    }

    /// The instances with the same subject as this one.
    fn same_subject(&self, first: Option<usize>, edges: &[(End, End)]) -> BTreeSet<usize> {
        let mut same: BTreeSet<usize> = first.into_iter().collect();
        loop {
            let before = same.len();
            for (a, b) in edges {
                let is_subject = self.is_subject_end(a) && self.is_subject_end(b);
                if is_subject && (same.contains(&a.0) || same.contains(&b.0)) {
                    same.extend([a.0, b.0]);
                }
            }
            if same.len() == before {
                return same;
            }
        }
    }

    /// Refuses datasets that no join leads to, and joins that are more than a way to a dataset.
    fn all_joined(
        &self,
        relation: &Relation,
        attached: &Attached,
        left: &BTreeSet<usize>,
        edges: &[(End, End)],
    ) -> Result<()> {
        let same = &attached.main.same;
        let is_apart = |id: &usize| self.rows(*id).is_none() && !same.contains(id);
        if !left.is_empty() || relation.instances.iter().any(is_apart) {
            return Err(refused(Form::Join));
        }
        let listings = attached.listings.iter();
        let components = || {
            let of_listings = listings.clone().map(|listing| &listing.rows);
            std::iter::once(&attached.main)
                .chain(&attached.events)
                .chain(of_listings)
        };
        // Rows that a link leads to may belong to another subject: that they belong to the same one would be a condition.
        let linked = components().flat_map(|component| &component.places);
        let by_link = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::Link(_)));
        if linked
            .into_iter()
            .any(|(id, steps)| by_link(steps) && same.contains(id))
        {
            return Err(refused(Form::Join));
        }
        let by_keys = edges
            .iter()
            .filter(|(a, b)| !(self.is_subject_end(a) && self.is_subject_end(b)))
            .count();
        let steps = components().flat_map(|component| component.places.values());
        let links = steps
            .filter(|steps| matches!(steps.last(), Some(Step::Link(_))))
            .count();
        // One equality leads to the codes of each listing.
        if by_keys != links.saturating_add(listings.len()) {
            return Err(refused(Form::Join));
        }
        for id in &relation.optional {
            let used = edges.iter().filter(|(a, b)| a.0 == *id || b.0 == *id).count();
            let steps = attached.main.places.get(id).map_or(&[][..], Vec::as_slice);
            let is_placed = self.rows(*id).is_none() || !steps.is_empty();
            let is_beyond = |place: &&Vec<Step>| place.split_last().is_some_and(|(_, before)| before == steps);
            let beyond = if steps.is_empty() {
                0
            } else {
                attached.main.places.values().filter(is_beyond).count()
            };
            if used != beyond.saturating_add(1) || !is_placed {
                return Err(refused(Form::LeftJoin));
            }
        }
        Ok(())
    }

    /// An equality with a column of the row around a subquery.
    fn correlated(&self, attached: &mut Attached, inner: End, around: End, outer: Option<&Component>) -> Result<()> {
        let outer = outer.ok_or_else(|| refused(Form::Subquery))?;
        if self.is_subject_end(&inner) && self.is_subject_end(&around) {
            let is_same = outer.same.contains(&around.0) && attached.main.same.contains(&inner.0);
            attached.is_correlated |= is_same;
            return if is_same { Ok(()) } else { Err(refused(Form::Subquery)) };
        }
        let column = |(id, name): End| {
            let relation = TableReference::bare(format!("#{id}"));
            Column::new(Some(relation), name.to_string())
        };
        attached.lookups.push((column(inner), column(around)));
        Ok(())
    }

    /// The values of a group by a column of rows that list codes, which are no condition on all rows then; `None` without such a group.
    pub(super) fn listed_group(&mut self, attached: &mut Attached, groups: &[Expr]) -> Result<Option<ListedValues>> {
        let (of_listings, _) = attached.conditions_on_listings();
        let found = self.listed_values((&attached.listings, &of_listings), groups, &attached.frame(None))?;
        Ok(found.map(|(number, values)| {
            attached.grouped = Some(number);
            values
        }))
    }

    /// Whether a code of a row may be listed several times, so that the row occurs as often. `listed` is the group by a list, if there is one.
    pub(super) fn is_listed_often(&mut self, attached: &Attached, listed: Option<&ListedValues>) -> Result<bool> {
        let (of_listings, _) = attached.conditions_on_listings();
        for (number, (listing, conditions)) in attached.listings.iter().zip(&of_listings).enumerate() {
            if !listing.is_of(&attached.main) {
                continue;
            }
            let is_once = match listed.filter(|_| attached.grouped == Some(number)) {
                Some(listed) => listed.is_once,
                None => self.lists_once(listing, conditions)?,
            };
            if !is_once {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is measured, and which rows of it.
    pub(super) fn measured(&mut self, relation: &Relation, attached: &Attached) -> Result<(Measured, Condition)> {
        let measured = match attached.root().and_then(|root| self.rows(root)) {
            Some(dataset) if self.known.is_reference(dataset) => return Err(refused(Form::NoSubjects)),
            Some(dataset) => Measured::Rows(dataset.clone()),
            None => Measured::Subjects,
        };
        Ok((measured, self.rows_of(relation, attached, None)?))
    }

    /// The conditions of a relation, with those that its joins mean.
    pub(super) fn rows_of(
        &mut self,
        relation: &Relation,
        attached: &Attached,
        outer: Option<&Component>,
    ) -> Result<Condition> {
        let mut parts = self.reached(&attached.main, &relation.optional)?;
        for id in &relation.instances {
            if let (Some(Instance::PerSubject { of, .. }), false) =
                (self.instances.get(*id), relation.optional.contains(id))
            {
                let of = Box::new(of.clone());
                parts.push(Condition::Events { of, exist: true });
            }
        }
        let (of_listings, conditions) = attached.conditions_on_listings();
        for (number, (listing, conditions)) in attached.listings.iter().zip(&of_listings).enumerate() {
            if listing.is_of(&attached.main) && attached.grouped != Some(number) {
                parts.push(self.listed_by(listing, conditions, &attached.frame(outer))?);
            }
        }
        let mut of_events: Vec<Vec<&Expr>> = vec![Vec::new(); attached.events.len()];
        for part in conditions {
            let used = instances_of([part]);
            let is_about = |events: &Component| used.iter().any(|id| events.places.contains_key(id));
            let about: Vec<usize> = attached
                .events
                .iter()
                .enumerate()
                .filter(|(_, e)| is_about(e))
                .map(|(at, _)| at)
                .collect();
            match about.as_slice() {
                [] => parts.push(self.condition(part, &attached.frame(outer))?),
                [one] => of_events
                    .get_mut(*one)
                    .ok_or_else(|| refused(Form::Operator))?
                    .push(part),
                _ => return Err(refused(Form::EventColumn)),
            }
        }
        for (events, conditions) in attached.events.iter().zip(of_events) {
            let listings = attached.listings.iter().zip(&of_listings);
            let listings: Vec<_> = listings.filter(|(listing, _)| listing.is_of(events)).collect();
            parts.push(self.events((events, &attached.main), &conditions, &listings, &relation.optional)?);
        }
        Ok(self.known.where_true(Condition::all(parts)))
    }

    /// Whether the subject has an event in a further dataset.
    fn events(
        &mut self,
        (events, main): (&Component, &Component),
        conditions: &[&Expr],
        listings: &[(&Listing, &Vec<&Expr>)],
        optional: &BTreeSet<usize>,
    ) -> Result<Condition> {
        let dataset = events.root.and_then(|root| self.rows(root)).cloned();
        let dataset = dataset.ok_or_else(|| refused(Form::Operator))?;
        let frame = Frame {
            this: events,
            outer: Some(main),
        };
        let mut rows = self.reached(events, optional)?;
        for part in conditions {
            rows.push(self.condition(part, &frame)?);
        }
        for (listing, conditions) in listings {
            rows.push(self.listed_by(listing, conditions, &frame)?);
        }
        let of = Box::new(EventSet {
            dataset,
            rows: self.known.where_true(Condition::all(rows)),
        });
        Ok(Condition::Events { of, exist: true })
    }

    /// An inner join keeps rows that reach a row of the other dataset.
    pub(super) fn reached(&self, component: &Component, optional: &BTreeSet<usize>) -> Result<Vec<Condition>> {
        let Some(root) = component.root.and_then(|root| self.rows(root)) else {
            return Ok(Vec::new());
        };
        let mut parts = Vec::new();
        for (id, steps) in &component.places {
            let Some(last) = steps.last().filter(|_| !optional.contains(id)) else {
                continue;
            };
            let key = match last {
                Step::Link(link) => link.key.clone(),
                Step::Subject(dataset) => match self.known.kind(dataset) {
                    Some(DatasetKind::Keyed { subject, .. }) => subject.clone(),
                    Some(_) | None => return Err(refused(Form::Join)),
                },
            };
            let path = ColumnPath::new(Row::This, root, steps.clone(), key).map(Quantity::Column);
            let present = path.and_then(|path| self.known.present(path));
            parts.push(present.ok_or_else(|| refused(Form::Join))?);
        }
        Ok(parts)
    }
}

/// The subject's own row of a dataset is reached in one step, also if the text joins it to another own row. Only a row that may be missing
/// stays a step of its own.
fn shorten(component: &mut Component, optional: &BTreeSet<usize>) {
    let places = component.places.iter();
    let may_be_missing: Vec<Vec<Step>> = places
        .filter(|(id, _)| optional.contains(id))
        .map(|(_, steps)| steps.clone())
        .collect();
    for steps in component.places.values_mut() {
        let own = steps.iter().take_while(|step| matches!(step, Step::Subject(_)));
        let own = own.count();
        let is_missing = |length: &usize| {
            let through = steps.get(..*length).unwrap_or_default();
            may_be_missing.iter().any(|known| known == through)
        };
        let kept = (1..own).find(is_missing).unwrap_or(own);
        steps.drain(..kept.saturating_sub(1));
    }
}
