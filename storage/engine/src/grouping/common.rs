//! One grouping at several members whose declarations differ.
//!
//! 1. What a row is, and the declared numbers of rows and days, must be the same where the grouping depends on them.
//! 2. Levels that it does not need do not matter: those of a column of which it has a mean, for example.
//! 3. Of edges it has those that all members have. A member with further ones gets a text in which ranges are the labels of these.
//! 4. Of listed values it has those that any member lists. At a member that does not list one, its rows with the value are among its others:
//!    it has no part of the cells of this value, and none of those of all other values.
//! 5. All members must come to one statistic then. If one cannot, or if levels or the names of codes differ in another way, that is the error.
//!
//! A member with records computes any groups, so its own levels decide nothing.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{AtomId, CollectionRules, Levels},
    ids::{ColumnName, DatasetName, LevelName},
    scope::{Scope, Value},
};

use super::{Grouping, names::different_names};
use crate::{
    QueryError, compute,
    statistic::{CellColumn, Group, KnownCollection, Used},
};

/// How many labels of a column the description of its levels has.
const FEW: usize = 3;
/// How many labels of common levels are listed.
const MANY: usize = 12;

type Column = (DatasetName, ColumnName);

/// One grouping of several members.
#[derive(Clone, Debug)]
pub struct CommonGrouping {
    whole: Grouping,
    members: Vec<MemberGrouping>,
    changed: Vec<ChangedLevels>,
}

/// The grouping as one member computes it.
#[derive(Clone, Debug)]
pub struct MemberGrouping {
    grouping: Grouping,
    has_labels: bool,
    cells: Vec<Option<usize>>,
}

/// A column that the grouping distinguishes with levels that are not those of all members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLevels {
    /// `dataset.column`.
    pub column: String,
    /// The labels of the first levels that the grouping has instead.
    pub labels: Vec<String>,
    /// Whether they are those edges that all members have.
    pub is_coarser: bool,
    /// For each member the labels of those values that it does not list.
    pub unlisted: Vec<Vec<String>>,
}

/// Why members do not come to one grouping.
#[derive(Debug)]
pub enum GroupingDifference {
    /// A declaration differs.
    Declared {
        /// What it is about, as `dataset.column`.
        what: String,
        /// Two members by their position, each with what it declares.
        members: [(usize, String); 2],
        /// The labels of the levels that all members have, which do not suffice.
        common: Vec<String>,
    },
    /// The grouping is not computed with the levels that members have in common.
    Refused(QueryError),
}

/// Groupings of members, each with whether the member has records.
struct Members<'a>(&'a [(Grouping, bool)]);

/// Levels of columns that the members declare in different ways.
#[derive(Default)]
struct Replaced {
    /// Those that the grouping has.
    whole: BTreeMap<Column, Levels>,
    /// Columns whose levels decide something.
    needed: BTreeSet<Column>,
}

impl CommonGrouping {
    /// The grouping of these members, each with whether its permission is for records. `None` without members.
    ///
    /// It lowers plans, so it needs a thread with a large stack, as in an engine process.
    ///
    /// # Errors
    /// [`GroupingDifference`] if they do not compute one statistic.
    pub fn of(members: &[(Grouping, bool)]) -> Result<Option<Self>, Box<GroupingDifference>> {
        let Some(((first, _), others)) = members.split_first() else {
            return Ok(None);
        };
        let mut used = Used::default();
        for (member, _) in members {
            used.extend(member.statistic().used());
        }
        for (at, (other, _)) in (1..).zip(others) {
            if let Some((what, [ours, theirs])) = different_rows([first.known(), other.known()], &used) {
                return Err(difference(what, [(0, ours), (at, theirs)]));
            }
        }
        let members = Members(members);
        let replaced = members.replaced(&used)?;
        let whole = first.under(&replaced.whole);
        let whole = whole.map_err(refused)?;
        let mut own = Vec::new();
        for (at, (member, is_of_records)) in members.0.iter().enumerate() {
            own.push(members.at(at, (member, *is_of_records), &replaced, &whole)?);
        }
        let grouped = replaced.needed.iter().filter(|column| used.grouped.contains(*column));
        let changed = grouped.map(|column| members.changed(column, &replaced, &own));
        // A list of values that no group shows one by one changes no cell.
        let is_shown = |changed: &ChangedLevels| changed.is_coarser || changed.unlisted.iter().any(|of| !of.is_empty());
        Ok(Some(Self {
            changed: changed.filter(is_shown).collect(),
            members: own,
            whole,
        }))
    }

    /// The column whose edges are the reason for which a member refuses what these others compute, with the levels that all have: its own
    /// error names its own edges, which the others may not have. `rules` and `scope` are what it shows, and its position is the one after
    /// the others. `None` if edges are not the reason.
    pub fn undecided(
        members: &[(Grouping, bool)],
        rules: &CollectionRules,
        scope: &Scope,
    ) -> Option<GroupingDifference> {
        let (first, _) = members.first()?;
        let refusing = compute::shown(rules, scope);
        let used = first.statistic().used();
        used.columns.keys().find_map(|column| {
            let there = levels_of(&refusing, column);
            let here = levels_of(first.known(), column);
            if here == there || !matches!((&here, &there), (Levels::Edges(_), Levels::Edges(_))) {
                return None;
            }
            let all = members.iter().map(|(member, _)| levels_of(member.known(), column));
            let common = all
                .chain([there.clone()])
                .try_fold(here.clone(), |common, levels| common.common(&levels));
            let levels = common.unwrap_or_default();
            let only = BTreeMap::from([(column.clone(), levels.clone())]);
            first.under(&only).is_err().then(|| GroupingDifference::Declared {
                what: named_column(column),
                members: [(0, described(&here)), (members.len(), described(&there))],
                common: labels(&levels),
            })
        })
    }

    /// The grouping with the levels of all members: its grid is that of the combined cells.
    pub const fn whole(&self) -> &Grouping {
        &self.whole
    }

    /// The grouping at each member, in their order.
    pub fn members(&self) -> &[MemberGrouping] {
        &self.members
    }

    /// The columns that it distinguishes in another way than a member does.
    pub fn changed(&self) -> &[ChangedLevels] {
        &self.changed
    }
}

impl MemberGrouping {
    /// The grouping, with the grid of this member.
    pub const fn grouping(&self) -> &Grouping {
        &self.grouping
    }

    /// Whether groups are written as labels, because the member has finer levels or records.
    pub const fn has_labels(&self) -> bool {
        self.has_labels
    }

    /// For each cell of the member's grid the cell of the common one that has the same rows; `None` if no cell has.
    pub fn cells(&self) -> &[Option<usize>] {
        &self.cells
    }
}

impl Members<'_> {
    fn levels(&self, column: &Column) -> Vec<Levels> {
        let members = self.0.iter();
        members.map(|(member, _)| levels_of(member.known(), column)).collect()
    }

    /// The levels of columns that are not the same at all members.
    fn replaced(&self, used: &Used) -> Result<Replaced, Box<GroupingDifference>> {
        let mut replaced = Replaced::default();
        for (column, named) in &used.columns {
            let levels = self.levels(column);
            if levels
                .windows(2)
                .all(|pair| matches!(pair, [one, other] if is_same(one, other, named)))
            {
                continue;
            }
            if !used.grouped.contains(column) && self.compute_without(column) {
                replaced.whole.insert(column.clone(), Levels::None);
                continue;
            }
            let common = self.common(column, &levels, named)?;
            replaced.whole.insert(column.clone(), common);
            replaced.needed.insert(column.clone());
        }
        Ok(replaced)
    }

    /// Whether the grouping does not need the levels of a column.
    fn compute_without(&self, column: &Column) -> bool {
        let without = BTreeMap::from([(column.clone(), Levels::None)]);
        self.0.iter().all(|(member, _)| member.under(&without).is_ok())
    }

    /// The levels that all members without records have in common.
    fn common(
        &self,
        column: &Column,
        levels: &[Levels],
        named: &BTreeSet<LevelName>,
    ) -> Result<Levels, Box<GroupingDifference>> {
        let all = levels.iter().zip(self.0).enumerate();
        let mut deciding: Vec<(usize, &Levels)> = Vec::new();
        for (at, (levels, (_, is_of_records))) in all {
            if !*is_of_records {
                deciding.push((at, levels));
            }
        }
        let Some(((first, ours), others)) = deciding.split_first() else {
            return Ok(levels.first().cloned().unwrap_or_default());
        };
        let mut common = Levels::clone(ours);
        for (at, theirs) in others {
            if is_same(&common, theirs, named) {
                continue;
            }
            common = common.common(theirs).ok_or_else(|| {
                let described = [(*first, described(ours)), (*at, described(theirs))];
                difference(named_column(column), described)
            })?;
        }
        Ok(common)
    }

    /// The grouping at one member, if it is `whole`.
    fn at(
        &self,
        at: usize,
        (member, is_of_records): (&Grouping, bool),
        replaced: &Replaced,
        whole: &Grouping,
    ) -> Result<MemberGrouping, Box<GroupingDifference>> {
        let another = || {
            let what = "the grouping".to_owned();
            difference(what, [(0, "one".to_owned()), (at, "another one".to_owned())])
        };
        let alike = member.under(&replaced.whole).map_err(refused)?;
        if alike.block != whole.block {
            let names = different_names(whole, &alike);
            return Err(names.map_or_else(another, |(what, [ours, theirs])| {
                difference(what, [(0, ours), (at, theirs)])
            }));
        }
        if is_of_records {
            let cells = (0..whole.cells().num_rows()).map(Some).collect();
            return Ok(MemberGrouping {
                grouping: alike,
                has_labels: true,
                cells,
            });
        }
        // A member cannot name a value that it does not list.
        let mut own = replaced.whole.clone();
        own.retain(|_, levels| !matches!(levels, Levels::Values(_)));
        let grouping = member.under(&own).map_err(refused)?;
        let cells = cells(&grouping, whole).ok_or_else(another)?;
        Ok(MemberGrouping {
            has_labels: is_coarser(&grouping, member.known()),
            grouping,
            cells,
        })
    }

    fn changed(&self, column: &Column, replaced: &Replaced, own: &[MemberGrouping]) -> ChangedLevels {
        let whole = replaced.whole.get(column).cloned().unwrap_or_default();
        let levels = self.levels(column);
        let unlisted = levels.iter().zip(own).map(|(levels, member)| {
            let has_all = member.cells.iter().all(Option::is_some);
            match (levels, &whole) {
                (Levels::Values(own), Levels::Values(all)) if !has_all => {
                    let lists = |value: &Value| own.iter().any(|listed| listed.value == *value);
                    let missing = all.iter().filter(|listed| !lists(&listed.value));
                    missing.map(|listed| listed.label.to_string()).collect()
                }
                _ => Vec::new(),
            }
        });
        ChangedLevels {
            column: named_column(column),
            labels: labels(&whole),
            is_coarser: matches!(whole, Levels::Edges(_)),
            unlisted: unlisted.collect(),
        }
    }
}

impl Grouping {
    /// The same with these levels of columns.
    fn under(&self, levels: &BTreeMap<Column, Levels>) -> Result<Self, QueryError> {
        Self::of(self.plan.clone(), self.known.with_levels(levels), self.most_cells)
    }
}

/// For each cell of a member's grid the cell of another one with the same rows. `None` if the two are not alike.
fn cells(own: &Grouping, whole: &Grouping) -> Option<Vec<Option<usize>>> {
    let groups = own.statistic().groups().iter().zip(whole.statistic().groups());
    let own_sizes = own.statistic().sizes(own.known());
    let sizes: Vec<usize> = whole.statistic().sizes(whole.known()).collect();
    if !has_same_columns(own, whole) || own.statistic().groups().len() != sizes.len() {
        return None;
    }
    let mut cells = vec![Some(0_usize)];
    for ((groups, own_size), size) in groups.zip(own_sizes).zip(sizes) {
        let classes = classes((groups.0, own, own_size), (groups.1, whole, size))?;
        // The last group varies fastest.
        let cell =
            |before: Option<usize>, class: Option<usize>| Some(before?.saturating_mul(size).saturating_add(class?));
        let next = cells
            .iter()
            .flat_map(|before| classes.iter().map(move |class| cell(*before, *class)));
        cells = next.collect();
    }
    Some(cells)
}

/// Whether groups are in the same columns.
fn has_same_columns(own: &Grouping, whole: &Grouping) -> bool {
    let group = |column: &CellColumn| match column {
        CellColumn::Group(at) => Some(*at),
        CellColumn::Cell(_) | CellColumn::Scaled { .. } | CellColumn::Quotient { .. } => None,
    };
    own.columns().iter().map(group).eq(whole.columns().iter().map(group))
}

/// For each class of a group the class of another one with the same values, in grids of these sizes. `None` if the two are not alike.
fn classes(
    (ours, own, own_size): (&Group, &Grouping, usize),
    (theirs, whole, size): (&Group, &Grouping, usize),
) -> Option<Vec<Option<usize>>> {
    let same = || (own_size == size).then(|| (0..size).map(Some).collect());
    match (ours, theirs) {
        (Group::Levels { of, .. }, Group::Levels { of: other, .. }) => {
            let levels = own.known().levels(of);
            let others = whole.known().levels(other);
            match levels.same_atoms(&others) {
                Some(atoms) => {
                    let missing = Some(size.checked_sub(1)?);
                    let listed = atoms.into_iter().map(|atom| atom.map(usize::from));
                    Some(listed.chain([missing]).collect())
                }
                None if levels == others => same(),
                None => None,
            }
        }
        // The text decides which values they have.
        (
            Group::Buckets { buckets, rest, .. },
            Group::Buckets {
                buckets: others,
                rest: other,
                ..
            },
        ) => {
            let labels = buckets.iter().map(|bucket| &bucket.label);
            let are_alike = rest == other && labels.eq(others.iter().map(|bucket| &bucket.label));
            same().filter(|_| are_alike)
        }
        (
            Group::Cases { cases, rest },
            Group::Cases {
                cases: others,
                rest: other,
            },
        ) => {
            let labels = cases.iter().map(|(_, label)| label);
            let are_alike = rest == other && labels.eq(others.iter().map(|(_, label)| label));
            same().filter(|_| are_alike)
        }
        (Group::Codes { .. }, Group::Codes { .. }) => same().filter(|_| ours == theirs),
        (Group::Levels { .. } | Group::Buckets { .. } | Group::Cases { .. } | Group::Codes { .. }, _) => None,
    }
}

/// Whether a group has coarser levels than its member declares, so that the bare column would be other groups.
fn is_coarser(grouping: &Grouping, declared: &KnownCollection) -> bool {
    grouping.statistic().groups().iter().any(|group| match group {
        Group::Levels { of, .. } => grouping.known().levels(of) != declared.levels(of),
        Group::Buckets { .. } | Group::Cases { .. } | Group::Codes { .. } => false,
    })
}

fn difference(what: String, members: [(usize, String); 2]) -> Box<GroupingDifference> {
    Box::new(GroupingDifference::Declared {
        what,
        members,
        common: Vec::new(),
    })
}

fn refused(error: QueryError) -> Box<GroupingDifference> {
    Box::new(GroupingDifference::Refused(error))
}

/// The first declaration about rows that the grouping depends on and that differs: what it is about, and what it is at both.
fn different_rows(both: [&KnownCollection; 2], used: &Used) -> Option<(String, [String; 2])> {
    let different = |what: String, [ours, theirs]: [String; 2]| (ours != theirs).then_some((what, [ours, theirs]));
    let declared = used.datasets.iter().find_map(|dataset| {
        let kinds = both.map(|known| kind(known, dataset));
        different(format!("a row of {dataset}"), kinds)
    });
    let counts = || {
        used.counted.iter().find_map(|dataset| {
            let counts = both.map(|known| {
                let rules = known.rules().dataset(dataset);
                format!("{:?}", rules.map(|rules| rules.counts().as_slice()).unwrap_or_default())
            });
            different(format!("the declared numbers of rows of {dataset}"), counts)
        })
    };
    let days = || {
        let days = both.map(|known| format!("{:?}", known.rules().days().as_slice()));
        different("the declared numbers of days".to_owned(), days).filter(|_| used.has_days)
    };
    declared.or_else(counts).or_else(days)
}

/// How rows lead to a subject, without the names of columns: they may differ.
fn kind(known: &KnownCollection, dataset: &DatasetName) -> String {
    let Some(rules) = known.rules().dataset(dataset) else {
        return "not declared".to_owned();
    };
    let one = if known.is_unique(dataset) {
        ", the only one of its subject"
    } else {
        ""
    };
    format!("{}{one}", rules.kind().label())
}

fn levels_of(known: &KnownCollection, (dataset, column): &Column) -> Levels {
    known
        .column(dataset, column)
        .map_or(Levels::None, |column| column.levels.clone())
}

/// Whether the same conditions and groups are the same values. Lists of codes that no group uses do not matter, and neither do names of
/// codes.
fn is_same(ours: &Levels, theirs: &Levels, grouped: &BTreeSet<LevelName>) -> bool {
    let (Levels::Codes(one), Levels::Codes(other)) = (ours, theirs) else {
        return ours == theirs;
    };
    let is_listed_alike = |name: &LevelName| one.level(name) == other.level(name);
    // Codes above others are groups of one holder only.
    let has_same_pairs = match (one.hierarchy(), other.hierarchy()) {
        (Some(one), Some(other)) => one.has_pairs_of(other),
        (one, other) => one == other,
    };
    one.kind() == other.kind() && has_same_pairs && grouped.iter().all(is_listed_alike)
}

fn named_column((dataset, column): &Column) -> String {
    format!("{dataset}.{column}")
}

/// The labels of the first levels.
fn labels(levels: &Levels) -> Vec<String> {
    let atoms = 0..levels.atoms().unwrap_or_default();
    let labels = atoms.filter_map(|at| levels.label(&AtomId::Listed(at)));
    labels.take(MANY).collect()
}

/// The levels of a column, in a few words.
fn described(levels: &Levels) -> String {
    match (levels, levels.atoms()) {
        (Levels::None, _) => "without levels".to_owned(),
        (Levels::Codes(_), _) | (_, None) => "a list of codes".to_owned(),
        (_, Some(atoms)) => {
            let labels: Vec<String> = labels(levels)
                .iter()
                .take(FEW)
                .map(|label| format!("`{label}`"))
                .collect();
            format!("in {atoms} levels from {} on", labels.join(", "))
        }
    }
}
