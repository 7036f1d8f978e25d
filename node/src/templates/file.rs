//! A whole template file.

use concordat_protocol::collection::{DayLevels, HeaderSpelling, Pattern, Template};
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::text::Label;
use toml::de::DeTable;

use super::datasets::{DatasetEntry, datasets, numbers};
use super::entries::{Fields, Node};
use super::error::{MAX_FILE, MistakeProblem as Problem, TemplateFileError};
use super::levels::{SharedLevels, shared};
use super::mistakes::Mistakes;

/// The version of the format.
const VERSION: u32 = 1;
/// Most spellings of headers.
const MAX_SPELLINGS: usize = 16;

/// A template, and the line of each of its entries.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateFile {
    template: Template,
    /// The lines of each dataset of the template, in their order.
    lines: Vec<EntryLines>,
}

#[derive(Debug, Clone, PartialEq)]
struct EntryLines {
    dataset: usize,
    columns: Vec<usize>,
}

impl TemplateFile {
    /// Parses the text of a template file.
    ///
    /// # Errors
    /// If it has more than 1 MiB, is not TOML or contains mistakes; the first hundred are listed.
    pub fn parse(text: &str) -> Result<Self, TemplateFileError> {
        if text.len() > MAX_FILE {
            return Err(TemplateFileError::TooLarge { len: text.len() });
        }
        let mut mistakes = Mistakes::of(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            mistakes.add_syntax(error);
        }
        if !mistakes.is_empty() {
            return Err(mistakes.into_error());
        }
        match file(Fields::of_file(table.get_ref()), &mut mistakes) {
            Some(file) if mistakes.is_empty() => Ok(file),
            Some(_) | None => Err(mistakes.into_error()),
        }
    }

    /// The template.
    pub const fn template(&self) -> &Template {
        &self.template
    }

    /// The line of the entry for a column, or for a dataset: what has this name, otherwise a pattern that matches it. `None` if no entry is
    /// about the dataset.
    pub fn line_of(&self, dataset: &str, column: Option<&str>) -> Option<usize> {
        let entries = self.template.datasets.iter().zip(&self.lines);
        let mut found: Vec<(bool, bool, usize)> = Vec::new();
        for (entry, lines) in entries.filter(|(entry, _)| is_about(&entry.name, dataset)) {
            let is_open = entry.name.is_open();
            let columns = entry.columns.iter().zip(&lines.columns);
            let columns = columns.filter(|((name, _), _)| column.is_some_and(|column| is_about(name, column)));
            found.extend(columns.map(|((name, _), line)| (is_open, name.is_open(), *line)));
            if column.is_none() {
                found.push((is_open, false, lines.dataset));
            }
        }
        let least = found.into_iter().min().map(|(_, _, line)| line);
        // A mistake about a column without an entry is one of its dataset.
        least.or_else(|| column.and_then(|_| self.line_of(dataset, None)))
    }
}

/// Whether a name or pattern is this text, or matches it.
fn is_about(pattern: &Pattern, name: &str) -> bool {
    pattern.as_str() == name || pattern.matches(name)
}

fn file(mut fields: Fields<'_>, mistakes: &mut Mistakes) -> Option<TemplateFile> {
    if let Some(node) = fields.required("template", mistakes) {
        check_version(&node, mistakes);
    }
    let name: Option<Label> = fields.required("name", mistakes).and_then(|node| node.parsed(mistakes));
    let subject = fields.take("subject").and_then(|node| subject(&node, mistakes));
    let headers = fields.take("reading").and_then(|node| headers(&node, mistakes));
    let days = fields.take("days").and_then(|node| days(&node, mistakes));
    let levels = fields.take("levels").and_then(|node| node.table(mistakes));
    let levels = levels.map_or_else(SharedLevels::new, |fields| shared(fields, mistakes));
    let entries = fields.take("datasets").and_then(|node| node.table(mistakes));
    let entries = entries
        .map(|fields| datasets(fields, &levels, mistakes))
        .unwrap_or_default();
    fields.finish(
        "`template`, `name`, `subject`, `reading`, `days`, `levels` and `datasets`",
        mistakes,
    );
    let mut lines = Vec::new();
    let mut datasets = Vec::new();
    for DatasetEntry { dataset, line, columns } in entries {
        lines.push(EntryLines { dataset: line, columns });
        datasets.push(dataset);
    }
    let template = Template {
        name: name?,
        subject,
        headers: headers.unwrap_or_default(),
        days,
        datasets,
    };
    Some(TemplateFile { template, lines })
}

fn check_version(node: &Node<'_>, mistakes: &mut Mistakes) {
    let version: Option<u32> = node.whole(mistakes);
    if version.is_some_and(|version| version != VERSION) {
        let expected = "1, the version of the format";
        node.mistake::<()>(Problem::Type { expected }, mistakes);
    }
}

fn subject(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<(DatasetName, ColumnName)> {
    let mut fields = node.table(mistakes)?;
    let dataset = fields
        .required("dataset", mistakes)
        .and_then(|node| node.parsed(mistakes));
    let column = fields
        .required("column", mistakes)
        .and_then(|node| node.parsed(mistakes));
    fields.finish("`dataset` and `column`", mistakes);
    dataset.zip(column)
}

fn headers(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Vec<HeaderSpelling>> {
    let mut fields = node.table(mistakes)?;
    let list = fields
        .required("headers", mistakes)
        .and_then(|node| node.list(MAX_SPELLINGS, mistakes));
    fields.finish("`headers`", mistakes);
    let spellings: Vec<Option<HeaderSpelling>> = list?.iter().map(|node| spelling(node, mistakes)).collect();
    spellings.into_iter().collect()
}

fn spelling(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<HeaderSpelling> {
    let text = node.text(mistakes)?;
    node.valid(HeaderSpelling::new(text), mistakes)
}

fn days(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<DayLevels> {
    let mut fields = node.table(mistakes)?;
    let levels = fields.required("levels", mistakes).and_then(|node| {
        let numbers = numbers(&node, mistakes)?;
        node.valid(DayLevels::new(numbers), mistakes)
    });
    fields.finish("`levels`", mistakes);
    levels
}
