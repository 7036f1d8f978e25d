//! Within a crate, modules form an order: each uses only those of earlier layers, and no files use each other in a circle.
//!
//! 1. The files of a crate are read without their comments and tests, and each path that begins with `crate`, `super`, `self` or a
//!    module below is an arrow to the module that it names.
//! 2. Between the modules that a crate's root declares, an arrow goes to an earlier layer of [`CRATES`] only.
//! 3. Within one of them, the files have no circle. A name that a module only passes on (`pub use`) counts as an arrow to the file that
//!    defines it.
//!
//! What still runs back is listed by name, and a list that names what is no longer there fails too: it can only shrink.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, Violation, assert_none, sources};

/// The order of one crate.
struct Crate {
    /// Its sources.
    src: &'static str,
    /// Its modules, lowest layer first. Those of one layer do not use each other.
    layers: &'static [&'static [&'static str]],
    /// Arrows that still run back, from a file to a module.
    back: &'static [(&'static str, &'static str)],
    /// Modules within which files still use each other in a circle, and how many files do.
    circles: &'static [(&'static str, usize)],
}

const CRATES: &[Crate] = &[
    Crate {
        src: "protocol/src",
        layers: &[
            &["ids", "labels", "schema", "text", "time"],
            &["identity"],
            &["signed"],
            &["membership", "policy_set", "scope"],
            &["audit", "grant"],
            &["negotiation", "query"],
            &["wire"],
        ],
        back: &[],
        circles: &[],
    },
    Crate {
        src: "storage/src",
        layers: &[
            &["fault"],
            &["arrow_stream", "fs"],
            &["keys"],
            &["objects"],
            &["seal"],
            &["meta"],
            &["ledger"],
            &["engine", "ingest"],
            &["catalog"],
            &["data_dir"],
            &["backup"],
        ],
        back: &[],
        circles: &[("ledger", 9)],
    },
    Crate {
        src: "node/src",
        layers: &[
            &["attribution", "clock", "json", "shutdown"],
            &["fault"],
            &["iam", "network", "refusals"],
            &["config"],
            &["telemetry"],
            &["policy"],
            &["evidence", "ledger_heads", "start_state"],
            &["membership"],
            &["negotiation"],
            &["sharing"],
            &["federation"],
            &["custody"],
            &["node"],
            &["demo", "init"],
            &["api"],
            &["cli"],
        ],
        back: &[],
        circles: &[],
    },
];

/// The modules of a crate and the arrows between them. A module is named by its path below the crate's root.
#[derive(Debug, Default)]
struct Modules {
    files: BTreeMap<String, File>,
}

/// What one file says.
#[derive(Debug, Default)]
struct File {
    path: String,
    /// Names that the file brings in, with the paths that they stand for.
    imports: Vec<Import>,
    /// Paths outside of `use`.
    inline: Vec<Vec<String>>,
    /// All words outside of `use`.
    words: BTreeSet<String>,
}

/// One name of a `use`.
#[derive(Debug)]
struct Import {
    name: String,
    path: Vec<String>,
    passed_on: bool,
}

impl Modules {
    /// Reads the sources of a crate.
    fn read(src: &str, sources: &[Source]) -> Self {
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
    fn named(&self, file: &File) -> BTreeSet<String> {
        let paths = file.imports.iter().map(|import| &import.path).chain(&file.inline);
        paths.map(|path| self.split(path).0).collect()
    }

    /// The modules that define what a file uses.
    fn used(&self, module: &str, file: &File) -> BTreeSet<String> {
        let passes_on = |import: &&Import| {
            let target = self.split(&import.path).0;
            import.passed_on && target.starts_with(&below(module, "")) && !file.words.contains(&import.name)
        };
        let imports = file.imports.iter().filter(|import| !passes_on(import));
        let paths = imports.map(|import| &import.path).chain(&file.inline);
        let mut used: BTreeSet<String> = paths.filter_map(|path| self.defined_in(path, 0)).collect();
        used.remove(module);
        used
    }

    /// The module that defines what a path names; none if that is outside of the crate.
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
                file.read_words(line, module, known);
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
                // A library's own: what is passed on from it is defined outside.
                continue;
            };
            self.imports.push(Import {
                name: name.to_owned(),
                path,
                passed_on: !visibility.trim().is_empty(),
            });
        }
    }

    fn read_words(&mut self, line: &str, module: &str, known: &BTreeSet<String>) {
        for path in line.split(|c: char| !(c.is_alphanumeric() || "_:$".contains(c))) {
            let segments: Vec<&str> = path.split("::").collect();
            self.words.extend(segments.iter().map(|segment| (*segment).to_owned()));
            if segments.len() > 1 {
                self.inline.extend(absolute(module, &segments, known));
            }
        }
    }
}

/// A path from the crate's root; none if it leads elsewhere.
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
    let (mut depth, mut start) = (0_usize, 0);
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

/// The module of a file: its path below the sources, the root's being empty.
fn module_of(src: &str, path: &str) -> String {
    let path = path.strip_prefix(src).unwrap_or(path).trim_start_matches('/');
    let module = path.trim_end_matches(".rs");
    if matches!(module, "lib" | "main") {
        String::new()
    } else {
        module.to_owned()
    }
}

/// The module below the crate's root that a module lies in.
fn top(module: &str) -> &str {
    module.split('/').next().unwrap_or_default()
}

/// A file without comments and tests.
#[derive(Debug, Default)]
struct Program {
    lines: Vec<String>,
    /// Modules that are built for tests only.
    test_modules: Vec<String>,
}

impl Program {
    /// Relies on the formatter: an item ends where a brace stands as far in as the item began.
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

/// Arrows between the modules of a crate's root that go nowhere or back, each with the file and the module.
fn arrows_back<'a>(modules: &'a Modules, layers: &[&[&str]]) -> Vec<(&'a str, String)> {
    let rank = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    let mut found = Vec::new();
    for (module, file) in &modules.files {
        let from = top(module);
        for named in modules.named(file) {
            let to = top(&named);
            let is_arrow = !to.is_empty() && !from.is_empty() && to != from;
            if is_arrow && rank(to) >= rank(from) {
                found.push((file.path.as_str(), to.to_owned()));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Files of one module of the crate's root that use each other, as groups in each of which every file reaches every other.
fn circles(modules: &Modules) -> Vec<BTreeSet<String>> {
    let arrows: BTreeMap<&str, BTreeSet<String>> = modules
        .files
        .iter()
        .map(|(module, file)| (module.as_str(), modules.used(module, file)))
        .collect();
    let reached = |from: &str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(next) = left.pop() {
            for to in arrows.get(next.as_str()).into_iter().flatten() {
                if top(to) == top(from) && seen.insert(to.clone()) {
                    left.push(to.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<String>> = arrows.keys().map(|module| (*module, reached(module))).collect();
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|seen| seen.contains(to));
    let groups: BTreeSet<BTreeSet<String>> = reach
        .keys()
        .filter(|module| !module.is_empty() && reaches(module, module))
        .map(|module| {
            let others = reach
                .keys()
                .filter(|other| reaches(module, other) && reaches(other, module));
            others.map(|other| (*other).to_owned()).collect()
        })
        .collect();
    groups.into_iter().collect()
}

/// Everything in a crate that breaks its order, and every exception that is none any more.
fn judge(rules: &Crate, modules: &Modules) -> Vec<Violation> {
    let mut violations = Vec::new();
    let declared: BTreeSet<&str> = modules
        .files
        .keys()
        .map(|module| top(module))
        .filter(|top| !top.is_empty())
        .collect();
    let listed: BTreeSet<&str> = rules.layers.iter().flat_map(|layer| layer.iter().copied()).collect();
    for module in declared.symmetric_difference(&listed) {
        let what = format!("the module `{module}` must stand in the table of layers exactly if it exists");
        violations.push(Violation::new(rules.src, what));
    }
    let found = arrows_back(modules, rules.layers);
    for (file, to) in &found {
        if !rules.back.contains(&(*file, to.as_str())) {
            violations.push(Violation::new(
                *file,
                format!("uses `{to}`, which is not in an earlier layer"),
            ));
        }
    }
    for (file, to) in rules.back {
        if !found.contains(&(*file, (*to).to_owned())) {
            violations.push(Violation::new(
                *file,
                format!("no longer uses `{to}`: take it off the list"),
            ));
        }
    }
    let mut in_circles = BTreeMap::<&str, BTreeSet<&String>>::new();
    let groups = circles(modules);
    for group in &groups {
        let module = group.iter().next().map_or("", |first| top(first));
        in_circles.entry(module).or_default().extend(group);
    }
    for (module, files) in &in_circles {
        if !rules.circles.contains(&(*module, files.len())) {
            let what = format!(
                "{} files of `{module}` use each other in a circle: {files:?}",
                files.len()
            );
            violations.push(Violation::new(rules.src, what));
        }
    }
    for (module, count) in rules.circles {
        if in_circles.get(module).is_none_or(|files| files.len() != *count) {
            let what = format!("`{module}` no longer has {count} files in circles: correct the list");
            violations.push(Violation::new(rules.src, what));
        }
    }
    violations
}

#[test]
fn modules_use_only_those_of_earlier_layers() {
    let mut violations = Vec::new();
    for rules in CRATES {
        let modules = Modules::read(rules.src, &sources(rules.src));
        assert!(modules.files.len() > 20, "the sources of {} were not read", rules.src);
        violations.extend(judge(rules, &modules));
    }
    assert_none(&violations);
}

#[cfg(test)]
mod planted {
    use super::*;

    const RULES: Crate = Crate {
        src: "x/src",
        layers: &[&["low", "beside"], &["high"]],
        back: &[],
        circles: &[],
    };

    fn crate_of(files: &[(&str, &str)]) -> Modules {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source {
                path: format!("x/src/{path}"),
                text: (*text).to_owned(),
            })
            .collect();
        Modules::read("x/src", &sources)
    }

    fn found(rules: &Crate, files: &[(&str, &str)]) -> Vec<String> {
        let all = [
            ("lib.rs", "pub mod low;\n"),
            ("low.rs", ""),
            ("beside.rs", ""),
            ("high.rs", ""),
        ];
        let rest = all
            .iter()
            .filter(|(path, _)| !files.iter().any(|(other, _)| other == path));
        let files: Vec<(&str, &str)> = rest.chain(files).copied().collect();
        judge(rules, &crate_of(&files))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_arrow_down_is_allowed_and_one_back_or_sideways_is_seen() {
        assert_eq!(
            found(&RULES, &[("high.rs", "use crate::low::Leaf;\n")]),
            [] as [&str; 0]
        );
        for text in [
            "use crate::high::Thing;\n",
            "use crate::{\n    high::Thing,\n};\n",
            "fn f() {\n    crate::high::go();\n}\n",
            "use super::high;\n",
            "pub use crate::high::Thing;\n",
            "use std::fmt;\nuse crate::high::{self as up};\n",
        ] {
            let seen = found(&RULES, &[("low.rs", text)]);
            assert_eq!(
                seen,
                ["x/src/low.rs: uses `high`, which is not in an earlier layer"],
                "{text}"
            );
        }
        assert_eq!(found(&RULES, &[("low.rs", "use crate::beside::Other;\n")]).len(), 1);
    }

    #[test]
    fn an_arrow_from_deep_within_is_seen() {
        let seen = found(&RULES, &[("low/a/b.rs", "use super::super::super::high::Thing;\n")]);
        assert_eq!(
            seen,
            ["x/src/low/a/b.rs: uses `high`, which is not in an earlier layer"]
        );
    }

    #[test]
    fn files_in_a_circle_are_seen_also_through_what_a_module_passes_on() {
        let parent = ("low.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;\n");
        let apart = [
            parent,
            ("low/a.rs", "pub struct A;\n"),
            ("low/b.rs", "use super::A;\npub struct B;\n"),
        ];
        assert_eq!(found(&RULES, &apart), [] as [&str; 0]);
        let circle = [
            parent,
            ("low/a.rs", "use super::B;\npub struct A;\n"),
            ("low/b.rs", "use super::A;\npub struct B;\n"),
        ];
        let seen = found(&RULES, &circle);
        assert_eq!(
            seen,
            ["x/src: 2 files of `low` use each other in a circle: {\"low/a\", \"low/b\"}"]
        );
    }

    #[test]
    fn a_parent_and_its_child_are_a_circle_if_both_use_each_other() {
        let child = ("low/a.rs", "use super::Parent;\npub fn go() {}\n");
        assert_eq!(found(&RULES, &[("low.rs", "mod a;\nstruct Parent;\n"), child]).len(), 0);
        let both = ("low.rs", "mod a;\nstruct Parent;\nfn f() {\n    a::go();\n}\n");
        assert_eq!(found(&RULES, &[both, child]).len(), 1);
        let passed_on_and_used = (
            "low.rs",
            "mod a;\npub use a::go;\nstruct Parent;\nfn f() {\n    go();\n}\n",
        );
        assert_eq!(found(&RULES, &[passed_on_and_used, child]).len(), 1);
    }

    #[test]
    fn tests_and_comments_may_use_anything() {
        let text = "//! See [`crate::high`].\n// crate::high::go();\n#[cfg(test)]\nimpl Low {\n    fn f() {\n        crate::high::go();\n    }\n}\n#[cfg(test)]\nmod tests {\n    use crate::high::Thing;\n}\n";
        assert_eq!(found(&RULES, &[("low.rs", text)]), [] as [&str; 0]);
        let tests = [
            ("low.rs", "#[cfg(test)]\nmod vectors;\n"),
            ("low/vectors.rs", "use crate::high::Thing;\n"),
        ];
        assert_eq!(found(&RULES, &tests), [] as [&str; 0]);
        let after = "#[cfg(test)]\nmod tests;\nuse crate::high::Thing;\n";
        assert_eq!(found(&RULES, &[("low.rs", after)]).len(), 1);
    }

    #[test]
    fn a_module_without_a_layer_is_seen() {
        assert_eq!(found(&RULES, &[("new.rs", "")]).len(), 1);
    }

    #[test]
    fn an_exception_that_is_none_any_more_is_seen() {
        let rules = Crate {
            back: &[("x/src/low.rs", "high")],
            circles: &[("low", 2)],
            ..RULES
        };
        let files = [
            (
                "low.rs",
                "mod a;\nuse crate::high::Thing;\nstruct Parent;\nfn f() {\n    a::go();\n}\n",
            ),
            ("low/a.rs", "use super::Parent;\npub fn go() {}\n"),
        ];
        assert_eq!(found(&rules, &files), [] as [&str; 0]);
        assert_eq!(found(&rules, &[]).len(), 2);
    }
}
