//! Excel workbooks (ECMA-376, Office Open XML).
//!
//! A workbook is a zip file of XML files. `_rels/.rels` names the workbook itself; the file with the relations of the workbook names the
//! sheets, the shared strings and the styles. A cell has its value, or the number of a shared string; its style says whether a number is
//! shown as a time.

use std::{collections::HashMap, io::BufReader, sync::Arc};

use super::{
    damage::Damage,
    row::Rows,
    value::Epoch,
    xml::{self, Item, Xml},
};
use crate::ingest::compression::{Archive, Unpacked};

mod cells;
mod strings;
mod styles;

use cells::SheetCells;
use strings::SharedStrings;
use styles::Styles;

/// Most bytes of a file that is kept in memory in parts: the workbook, its relations, its styles.
const MAX_PART: u64 = 16 * 1024 * 1024;
/// Most bytes of the shared strings.
const MAX_STRINGS: u64 = 64 * 1024 * 1024;
/// Most bytes of the name of a sheet. Excel allows 31 characters.
const MAX_NAME: usize = 1024;
/// Most sheets of a workbook.
const MAX_SHEETS: usize = 1000;

/// A workbook.
pub(super) struct Workbook {
    archive: Archive,
    names: Vec<String>,
    /// The files of the sheets.
    files: Vec<String>,
    strings: Arc<SharedStrings>,
    styles: Arc<Styles>,
    epoch: Epoch,
}

impl Workbook {
    pub(super) fn open(archive: Archive) -> Result<Self, Damage> {
        let main = relations(&archive, "_rels/.rels", "")?
            .into_values()
            .find(|relation| relation.is("officeDocument"))
            .ok_or(Damage::DAMAGED)?
            .target;
        let (folder, name) = main.rsplit_once('/').unwrap_or(("", &main));
        let relations = relations(&archive, &join(folder, &format!("_rels/{name}.rels")), folder)?;
        let listed = sheets(part(&archive, &main, MAX_PART)?)?;
        let mut names = Vec::new();
        let mut files = Vec::new();
        for (name, id) in listed.sheets {
            let relation = relations.get(&id).ok_or(Damage::DAMAGED)?;
            // Charts and macros have sheets of their own without cells.
            if relation.is("worksheet") {
                names.push(name);
                files.push(relation.target.clone());
            }
        }
        let of_kind = |kind| relations.values().find(|relation| relation.is(kind));
        let strings = match of_kind("sharedStrings") {
            Some(relation) => SharedStrings::read(part(&archive, &relation.target, MAX_STRINGS)?)?,
            None => SharedStrings::default(),
        };
        let styles = match of_kind("styles") {
            Some(relation) => Styles::read(part(&archive, &relation.target, MAX_PART)?)?,
            None => Styles::default(),
        };
        Ok(Self {
            archive,
            names,
            files,
            strings: Arc::new(strings),
            styles: Arc::new(styles),
            epoch: listed.epoch,
        })
    }

    /// The names of the sheets with cells or room for them.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The rows of a sheet.
    pub(super) fn rows(&self, sheet: usize) -> Result<Box<dyn Rows>, Damage> {
        let file = self.files.get(sheet).ok_or(Damage::DAMAGED)?;
        let cells = part(&self.archive, file, u64::MAX)?;
        Ok(Box::new(SheetCells::new(
            cells,
            Arc::clone(&self.strings),
            Arc::clone(&self.styles),
            self.epoch,
        )))
    }
}

/// A file of the workbook, of at most `limit` bytes.
fn part(archive: &Archive, name: &str, limit: u64) -> Result<Xml, Damage> {
    let file: BufReader<Unpacked> = archive.read(archive.file(name).ok_or(Damage::DAMAGED)?)?;
    Ok(Xml::new(file, limit))
}

/// What a file is to another one.
struct Relation {
    kind: String,
    target: String,
}

impl Relation {
    /// Whether it is of the kind whose name ends so; the beginning differs between versions of the standard.
    fn is(&self, kind: &str) -> bool {
        self.kind.rsplit_once('/').is_some_and(|(_, last)| last == kind)
    }
}

/// The relations of a file in `folder`, by their ids.
fn relations(archive: &Archive, name: &str, folder: &str) -> Result<HashMap<String, Relation>, Damage> {
    let mut xml = part(archive, name, MAX_PART)?;
    let mut relations = HashMap::new();
    loop {
        match xml.next()? {
            Item::Start(tag) if xml::is(&tag, "Relationship") => {
                let of = |name| Ok::<_, Damage>(xml::attribute(&tag, name)?.unwrap_or_default().into_owned());
                let target = of("Target")?;
                // A link to another place is not a file.
                let is_inside = xml::attribute(&tag, "TargetMode")?.is_none_or(|mode| mode == "Internal");
                if is_inside && relations.len() < MAX_SHEETS + 100 {
                    let target = join(folder, &target);
                    relations.insert(
                        of("Id")?,
                        Relation {
                            kind: of("Type")?,
                            target,
                        },
                    );
                }
            }
            Item::Eof => return Ok(relations),
            Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
        }
    }
}

/// The name of a file that is stated in `folder`.
fn join(folder: &str, stated: &str) -> String {
    let start = if stated.starts_with('/') { "" } else { folder };
    let mut names: Vec<&str> = Vec::new();
    for name in start.split('/').chain(stated.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// What the workbook lists.
struct Listed {
    /// The names of its sheets, and the ids of their relations.
    sheets: Vec<(String, String)>,
    epoch: Epoch,
}

fn sheets(mut xml: Xml) -> Result<Listed, Damage> {
    let mut listed = Listed {
        sheets: Vec::new(),
        epoch: Epoch::Y1900,
    };
    loop {
        match xml.next()? {
            Item::Start(tag) if xml::is(&tag, "sheet") => {
                let name = xml::attribute(&tag, "name")?.ok_or(Damage::DAMAGED)?.into_owned();
                let id = xml::find_attribute(&tag, |key| key.ends_with(b":id"))?;
                if name.len() > MAX_NAME || listed.sheets.len() == MAX_SHEETS {
                    return Err(Damage::TOO_LARGE);
                }
                listed.sheets.push((name, id.ok_or(Damage::DAMAGED)?.into_owned()));
            }
            Item::Start(tag) if xml::is(&tag, "workbookPr") => {
                if xml::is_true(&tag, "date1904")? {
                    listed.epoch = Epoch::Y1904;
                }
            }
            Item::Eof => return Ok(listed),
            Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn files_are_named_from_the_folder_or_the_root() {
        for (folder, stated, expected) in [
            ("xl", "worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "../other/./styles.xml", "other/styles.xml"),
            ("", "xl/workbook.xml", "xl/workbook.xml"),
            ("xl", "../../../x.xml", "x.xml"),
        ] {
            assert_eq!(join(folder, stated), expected);
        }
    }
}
