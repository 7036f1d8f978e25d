//! What conditions and groups may distinguish, in `[levels]` and at columns.

use std::collections::BTreeMap;

use concordat_protocol::collection::{
    AncestorGroups, CodeNames, Hierarchy, Listed, MAX_VALUES, TemplateLevels, ValueLabel,
};
use concordat_protocol::ids::LevelName;
use concordat_protocol::scope::Value;

use super::edges::{MAX_LEVELS, edges};
use super::entries::{Fields, Node};
use super::error::MistakeProblem as Problem;
use super::mistakes::Mistakes;

/// Most entries of `[levels]`.
const MAX_SHARED: usize = 256;
/// The keys that declare levels.
const KEYS: [&str; 3] = ["edges", "values", "codes"];

/// The levels of `[levels]`; `None` for those that are wrong.
pub(super) type SharedLevels = BTreeMap<String, Option<TemplateLevels>>;

/// Reads `[levels]`.
pub(super) fn shared(fields: Fields<'_>, mistakes: &mut Mistakes) -> SharedLevels {
    let mut shared = SharedLevels::new();
    for node in fields.into_nodes(MAX_SHARED, mistakes) {
        let name: Option<LevelName> = node.parsed_key(mistakes);
        if matches!(node.key(), "none" | "truth") {
            let text = "the name has a meaning of its own";
            node.mistake::<()>(Problem::Invalid(text.to_owned()), mistakes);
        }
        let levels = node.table(mistakes).and_then(|fields| one(fields, mistakes));
        shared.extend(name.map(|name| (name.into(), levels)));
    }
    shared
}

fn one(mut fields: Fields<'_>, mistakes: &mut Mistakes) -> Option<TemplateLevels> {
    let declared = KEYS.iter().filter(|key| fields.has(key)).count();
    if declared != 1 {
        let of = "`edges`, `values` and `codes`";
        fields.mistake::<()>(Problem::OneOf { of }, mistakes);
    }
    let levels = declared_levels(&mut fields, mistakes);
    fields.finish("`edges`, `values` and `codes`", mistakes);
    levels
}

/// The levels of a column: `levels` with a name, `edges`, `values` or `codes`.
pub(super) fn of_column(
    fields: &mut Fields<'_>,
    shared: &SharedLevels,
    mistakes: &mut Mistakes,
) -> Option<TemplateLevels> {
    let named = fields.take("levels");
    let declared = KEYS.iter().filter(|key| fields.has(key)).count();
    if declared + usize::from(named.is_some()) > 1 {
        let of = "`levels`, `edges`, `values` and `codes`";
        fields.mistake::<()>(Problem::OneOf { of }, mistakes);
    }
    let named = named.and_then(|node| by_name(&node, shared, mistakes));
    declared_levels(fields, mistakes).or(named)
}

fn by_name(node: &Node<'_>, shared: &SharedLevels, mistakes: &mut Mistakes) -> Option<TemplateLevels> {
    match node.text(mistakes)? {
        "none" => Some(TemplateLevels::None),
        "truth" => Some(TemplateLevels::Truth),
        name => match shared.get(name) {
            Some(levels) => levels.clone(),
            None => node.mistake(Problem::UnknownLevels, mistakes),
        },
    }
}

fn declared_levels(fields: &mut Fields<'_>, mistakes: &mut Mistakes) -> Option<TemplateLevels> {
    let mut first = None;
    for key in KEYS {
        let Some(node) = fields.take(key) else {
            continue;
        };
        let levels = match key {
            "edges" => edges(&node, mistakes).map(TemplateLevels::Edges),
            "values" => values(&node, mistakes).map(TemplateLevels::Values),
            _ => codes(&node, mistakes),
        };
        for problem in levels.iter().flat_map(TemplateLevels::problems) {
            node.mistake::<()>(Problem::Template(problem), mistakes);
        }
        first = first.or(levels);
    }
    first
}

/// `{ VALUE = "label" }`, or a list of values that are their own labels. All are texts, as the keys of a table are: they become values of
/// the column's kind when the template is applied.
fn values(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Vec<Listed>> {
    let read: Vec<Option<Listed>> = if node.is_list() {
        let elements = node.list(MAX_VALUES, mistakes)?;
        elements.iter().map(|element| own_label(element, mistakes)).collect()
    } else {
        let nodes = node.table(mistakes)?.into_nodes(MAX_VALUES, mistakes);
        nodes.iter().map(|node| labeled(node, mistakes)).collect()
    };
    read.into_iter().collect()
}

fn own_label(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Listed> {
    let text = node.listed_text(mistakes)?;
    let label = node.valid(ValueLabel::new(&text), mistakes)?;
    let value = Value::Text(text);
    Some(Listed { value, label })
}

fn labeled(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Listed> {
    Some(Listed {
        value: Value::Text(node.key().to_owned()),
        label: node.parsed(mistakes)?,
    })
}

/// `{ hierarchy, names, levels }`, all of them optional.
fn codes(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<TemplateLevels> {
    let mut fields = node.table(mistakes)?;
    let hierarchy = fields.take("hierarchy").and_then(|node| hierarchy(&node, mistakes));
    let names = fields.take("names").and_then(|node| names(&node, mistakes));
    let levels = fields.take("levels").and_then(|node| node.table(mistakes));
    let levels = levels.map(|fields| groups(fields, mistakes));
    fields.finish("`hierarchy`, `names` and `levels`", mistakes);
    Some(TemplateLevels::Codes {
        hierarchy,
        names,
        levels: levels.unwrap_or_default(),
    })
}

fn hierarchy(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Hierarchy> {
    let mut fields = node.table(mistakes)?;
    let dataset = required(&mut fields, "dataset", mistakes);
    let ancestor = required(&mut fields, "ancestor", mistakes);
    let descendant = required(&mut fields, "descendant", mistakes);
    let groups = fields.take("groups");
    let groups = groups.map(|node| ancestor_groups(&node, mistakes));
    fields.finish("`dataset`, `ancestor`, `descendant` and `groups`", mistakes);
    Some(Hierarchy {
        dataset: dataset?,
        ancestor: ancestor?,
        descendant: descendant?,
        groups: groups.flatten(),
    })
}

/// `{ column, class }`: the codes above others that are groups.
fn ancestor_groups(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<AncestorGroups> {
    let mut fields = node.table(mistakes)?;
    let column = required(&mut fields, "column", mistakes);
    let class = required(&mut fields, "class", mistakes);
    fields.finish("`column` and `class`", mistakes);
    Some(AncestorGroups {
        column: column?,
        class: class?,
    })
}

fn names(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<CodeNames> {
    let mut fields = node.table(mistakes)?;
    let dataset = required(&mut fields, "dataset", mistakes);
    let code = required(&mut fields, "code", mistakes);
    let name = required(&mut fields, "name", mistakes);
    fields.finish("`dataset`, `code` and `name`", mistakes);
    Some(CodeNames {
        dataset: dataset?,
        code: code?,
        name: name?,
    })
}

fn required<T: std::str::FromStr<Err: std::fmt::Display>>(
    fields: &mut Fields<'_>,
    key: &str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let node = fields.required(key, mistakes)?;
    node.parsed(mistakes)
}

/// Codes with the label of the group that each belongs to, for each level.
fn groups(fields: Fields<'_>, mistakes: &mut Mistakes) -> BTreeMap<LevelName, Vec<Listed>> {
    let mut levels = BTreeMap::new();
    for node in fields.into_nodes(MAX_LEVELS, mistakes) {
        let name = node.parsed_key(mistakes);
        let values = values(&node, mistakes);
        levels.extend(name.zip(values));
    }
    levels
}
