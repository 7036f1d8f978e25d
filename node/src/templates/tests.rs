mod forms;
mod hostile;
mod mistakes;
mod shipped;

use concordat_protocol::collection::{Contents, KnownColumns, Template};
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::schema::ColumnKind;

use super::*;

/// A file with these lines below the required ones, of which there are three.
fn with_lines(lines: &str) -> String {
    format!("template = 1\nname = \"test\"\n\n{lines}")
}

/// The template of a file without mistakes.
fn parsed(text: &str) -> Template {
    match TemplateFile::parse(text) {
        Ok(file) => file.template().clone(),
        Err(error) => panic!("{:#?}", lines(&error)),
    }
}

/// The mistakes of a file, as people read them.
fn mistakes_of(text: &str) -> Vec<String> {
    lines(&TemplateFile::parse(text).unwrap_err())
}

fn lines(error: &TemplateFileError) -> Vec<String> {
    use concordat_protocol::error_kind::Explain;
    error.reasons()
}

fn dataset(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

fn column(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn known<'a>(columns: impl IntoIterator<Item = (&'a str, &'a str, ColumnKind)>) -> KnownColumns {
    let mut datasets = std::collections::BTreeMap::new();
    for (at, name, kind) in columns {
        let columns: &mut std::collections::BTreeMap<_, _> = datasets.entry(dataset(at)).or_default();
        columns.insert(column(name), Contents::Of(kind));
    }
    KnownColumns::new(datasets)
}
