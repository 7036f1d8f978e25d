//! The modules of a crate as their files name each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::contracts::Source;

/// The modules of a crate and the edges between them. A module is named by its path below the crate's root.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub(super) files: BTreeMap<String, File>,
}

/// The contents of one file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) path: String,
    /// Names that the file imports, with their paths.
    imports: Vec<Import>,
    /// Paths outside of `use`.
    inline: Vec<Vec<String>>,
    /// All identifiers outside of `use`.
    identifiers: BTreeSet<String>,
}

/// One name of a `use`.
#[derive(Debug)]
struct Import {
    name: String,
    path: Vec<String>,
    reexported: bool,
}

impl Modules {
    /// Reads the sources of a crate.
    pub(super) fn read(src: &str, sources: &[Source]) -> Self {
        let mut texts = BTreeMap::new();
        let mut of_tests = BTreeSet::new();
        for source in sources {
            let module = module_of(src, &source.path);
            let program = Program::of(&source.text);
            of_tests.extend(program.test_modules.iter().map(|name| below(&module, name)));
            texts.insert(module, (source.path.clone(), program.lines));
        }
        let is_test = |module: &str| {
            let below_one = |test: &String| module == test || module.starts_with(&format!("{test}/"));
            of_tests.iter().any(below_one) || module.split('/').any(|part| part == "tests")
        };
        texts.retain(|module, _| !is_test(module));
        let known: BTreeSet<String> = texts.keys().cloned().collect();
        let files = texts.into_iter().map(|(module, (path, lines))| {
            let file = File::read(path, &module, &lines, &known);
            (module, file)
        });
        Self { files: files.collect() }
    }

    /// The modules that a file names, as it names them.
    pub(super) fn named(&self, file: &File) -> BTreeSet<String> {
        let paths = file.imports.iter().map(|import| &import.path).chain(&file.inline);
        paths.map(|path| self.split(path).0).collect()
    }

    /// The modules that define what a file uses.
    pub(super) fn used(&self, module: &str, file: &File) -> BTreeSet<String> {
        let is_reexport = |import: &&Import| {
            let target = self.split(&import.path).0;
            import.reexported && target.starts_with(&below(module, "")) && !file.identifiers.contains(&import.name)
        };
        let imports = file.imports.iter().filter(|import| !is_reexport(import));
        let paths = imports.map(|import| &import.path).chain(&file.inline);
        let mut used: BTreeSet<String> = paths.filter_map(|path| self.defined_in(path, 0)).collect();
        used.remove(module);
        used
    }

    /// The module that defines what a path names; `None` if that is outside the crate.
    fn defined_in(&self, path: &[String], depth: usize) -> Option<String> {
        let (module, rest) = self.split(path);
        let import = rest.first().and_then(|name| {
            let file = self.files.get(&module)?;
            file.imports.iter().find(|import| import.name == *name)
        });
        match import {
            Some(import) if depth < 8 => {
                let further = rest.get(1..).unwrap_or_default();
                let path: Vec<String> = import.path.iter().chain(further).cloned().collect();
                self.defined_in(&path, depth + 1)
            }
            Some(_) => None,
            None => Some(module),
        }
    }

    /// The deepest module of a path, and what follows it.
    fn split<'a>(&self, path: &'a [String]) -> (String, &'a [String]) {
        (0..=path.len())
            .rev()
            .map(|len| path.split_at(len))
            .map(|(module, rest)| (module.join("/"), rest))
            .find(|(module, _)| self.files.contains_key(module))
            .unwrap_or((String::new(), path))
    }
}

impl File {
    fn read(path: String, module: &str, lines: &[String], known: &BTreeSet<String>) -> Self {
        let mut file = Self {
            path,
            ..Self::default()
        };
        let mut statement: Option<String> = None;
        for line in lines {
            if let Some(begun) = &mut statement {
                begun.push_str(line.trim());
            } else if let Some(begun) = use_statement(line) {
                statement = Some(begun);
            } else {
                file.read_identifiers(line, module, known);
            }
            if let Some(whole) = statement.take_if(|begun| begun.ends_with(';')) {
                file.read_use(&whole, module, known);
            }
        }
        file
    }

    fn read_use(&mut self, statement: &str, module: &str, known: &BTreeSet<String>) {
        let (visibility, tree) = statement.split_once("use ").unwrap_or(("", statement));
        let mut leaves = Vec::new();
        expand("", tree.trim_end_matches(';'), &mut leaves);
        for leaf in leaves {
            let (path, alias) = leaf.split_once(" as ").unwrap_or((&leaf, ""));
            let segments: Vec<&str> = path.trim().split("::").map(str::trim).collect();
            let last = segments.iter().rev().find(|segment| **segment != "self");
            let name = if alias.is_empty() {
                last.copied().unwrap_or_default()
            } else {
                alias.trim()
            };
            let Some(path) = absolute(module, &segments, known) else {
                // A library's own: what is re-exported from it is defined outside.
                continue;
            };
            self.imports.push(Import {
                name: name.to_owned(),
                path,
                reexported: !visibility.trim().is_empty(),
            });
        }
    }

    fn read_identifiers(&mut self, line: &str, module: &str, known: &BTreeSet<String>) {
        for path in without_visibility(line).split(|c: char| !(c.is_alphanumeric() || "_:$".contains(c))) {
            let segments: Vec<&str> = path.split("::").collect();
            self.identifiers
                .extend(segments.iter().map(|segment| (*segment).to_owned()));
            if segments.len() > 1 {
                self.inline.extend(absolute(module, &segments, known));
            }
        }
    }
}

/// A line without the module that it is visible in, which it does not use.
fn without_visibility(line: &str) -> &str {
    let rest = line.trim_start().strip_prefix("pub(in ");
    rest.and_then(|rest| rest.split_once(')'))
        .map_or(line, |(_, rest)| rest)
}

/// A path from the crate's root; `None` if it leads outside the crate.
fn absolute(module: &str, segments: &[&str], known: &BTreeSet<String>) -> Option<Vec<String>> {
    let here: Vec<&str> = module.split('/').filter(|part| !part.is_empty()).collect();
    let supers = segments.iter().take_while(|segment| **segment == "super").count();
    let (base, rest) = match *segments.first()? {
        "crate" => (&[][..], segments.get(1..)?),
        "self" => (here.as_slice(), segments.get(1..)?),
        "super" => (here.get(..here.len().checked_sub(supers)?)?, segments.get(supers..)?),
        child if known.contains(&below(module, child)) => (here.as_slice(), segments),
        _ => return None,
    };
    let rest = rest.iter().filter(|segment| !matches!(**segment, "self" | "*" | ""));
    Some(base.iter().chain(rest).map(|segment| (*segment).to_owned()).collect())
}

/// The leaves of a `use` tree.
fn expand(prefix: &str, tree: &str, leaves: &mut Vec<String>) {
    let mut depth = 0_usize;
    let mut start = 0;
    let ends = tree.char_indices().chain([(tree.len(), ',')]);
    for (at, c) in ends {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let part = tree.get(start..at).unwrap_or_default().trim();
                start = at + 1;
                match part.split_once('{') {
                    Some((path, inner)) => {
                        let inner = inner.strip_suffix('}').unwrap_or(inner);
                        expand(&format!("{prefix}{path}"), inner, leaves);
                    }
                    None if part.is_empty() => {}
                    None => leaves.push(format!("{prefix}{part}")),
                }
            }
            _ => {}
        }
    }
}

/// The beginning of a `use`, if a line is one.
fn use_statement(line: &str) -> Option<String> {
    let text = line.trim();
    let item = match text.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => text,
    };
    item.trim_start().starts_with("use ").then(|| text.to_owned())
}

fn below(module: &str, child: &str) -> String {
    if module.is_empty() {
        child.to_owned()
    } else {
        format!("{module}/{child}")
    }
}

/// The module of a file: its path below the sources, empty for the root.
fn module_of(src: &str, path: &str) -> String {
    let path = path.strip_prefix(src).unwrap_or(path).trim_start_matches('/');
    let module = path.trim_end_matches(".rs");
    if matches!(module, "lib" | "main") {
        String::new()
    } else {
        module.to_owned()
    }
}

/// The module of the crate's root that contains a module.
pub(super) fn top(module: &str) -> &str {
    module.split('/').next().unwrap_or_default()
}

/// A file without comments and tests.
#[derive(Debug, Default)]
struct Program {
    lines: Vec<String>,
    /// Modules that are built only for tests.
    test_modules: Vec<String>,
}

impl Program {
    /// Relies on the formatter: an item ends at a brace with the same indentation as its first line.
    fn of(text: &str) -> Self {
        let mut program = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let code = line.split(" // ").next().unwrap_or_default();
            let trimmed = code.trim_start();
            if trimmed.starts_with("//") {
                continue;
            }
            if !trimmed.starts_with("#[cfg(test)]") {
                program.lines.push(code.to_owned());
                continue;
            }
            let indent = code.len() - trimmed.len();
            let item = lines.by_ref().find(|line| !line.trim_start().starts_with("#["));
            let item = item.unwrap_or_default();
            let module = item
                .trim_start()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            if let Some(name) = module.strip_prefix("mod ") {
                program
                    .test_modules
                    .push(name.trim_end_matches([';', '{', ' ']).to_owned());
            }
            let end = format!("{}}}", " ".repeat(indent));
            let is_one_line = item.ends_with([';', ',']) || item.ends_with("{}");
            if !is_one_line {
                lines
                    .by_ref()
                    .find(|line| line.trim_end() == end || line.trim_end() == format!("{end};"));
            }
        }
        program
    }
}
