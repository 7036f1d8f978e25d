//! `concordat policy …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::Digest32;
use serde_json::{Value, json};

use super::context::Context;
use super::files;
use crate::json::Field as _;

/// Name of the file with the settings of a set, beside its rules.
const SETTINGS: &str = "settings.toml";
/// Name of the file with the cases of a set, beside its rules.
const CASES: &str = "cases.toml";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The current set, who applied it and when; with a number, an earlier one
    Show {
        /// Its number
        number: Option<u64>,
        /// Write its files and settings into this new folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Read files and check them against the schema; nothing is applied
    Check {
        /// A file of rules, or a folder with `*.cedar` and optionally `settings.toml`
        path: PathBuf,
    },
    /// Run cases: who, class, tier, purpose, and the expected decision
    Test {
        /// The rules to test; the current set by default
        #[arg(long, value_name = "FILE|DIR")]
        rules: Option<PathBuf>,
        /// The cases, `[[case]]` in TOML
        cases: PathBuf,
    },
    /// Show which answers become allowed and which no longer are
    Diff {
        /// Before: the number of a set; if only one argument is given, the current set
        a: String,
        /// After: the number of a set, a file or a folder
        b: Option<String>,
    },
    /// Apply a set, or propose it if two people are required
    Apply {
        /// A file of rules, or a folder with `*.cedar` and optionally `settings.toml` and `cases.toml`
        path: PathBuf,
        /// The digest that `policy diff` showed
        #[arg(long, value_name = "DIGEST")]
        expect: Digest32,
    },
    /// Approve a proposal, as the second person
    Approve {
        /// The digest of the proposal
        #[arg(long, value_name = "DIGEST")]
        expect: Digest32,
    },
    /// All sets, newest first
    History,
    /// Apply an earlier set again, under a new number
    Rollback {
        /// Its number
        number: u64,
    },
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        match self {
            Self::Show { number, out } => {
                let path = number.map_or("/v1/policy".to_owned(), |number| format!("/v1/policy/sets/{number}"));
                show(&client.get(&path).await?, out.as_deref(), context)
            }
            Self::Check { path } => {
                let checked: Value = client.post("/v1/policy/check", &sources(&path)?).await?;
                let sentence = format!(
                    "{} rules are valid; digest {}",
                    checked.at("rules"),
                    checked.text("digest")
                );
                context
                    .out
                    .note(&format!("they were tried with {}", sample_text(checked.at("sample"))));
                context.out.done(&sentence, &checked)
            }
            Self::Test { rules, cases } => {
                let rules = rules.as_deref().map(sources).transpose()?;
                let body = json!({ "sources": rules, "cases": read_cases(&cases)? });
                tested(&client.post("/v1/policy/test", &body).await?, context)
            }
            Self::Diff { a, b } => {
                let (from, to) = match b {
                    Some(b) => (side(&a)?, side(&b)?),
                    None => (json!("current"), side(&a)?),
                };
                let body = json!({ "from": from, "to": to });
                compared(&client.post("/v1/policy/diff", &body).await?, context)
            }
            Self::Apply { path, expect } => {
                let cases = path.join(CASES);
                let cases = if cases.is_file() {
                    read_cases(&cases)?
                } else {
                    json!([])
                };
                let body = json!({ "sources": sources(&path)?, "expect": expect, "cases": cases });
                concluded(&client.post("/v1/policy/apply", &body).await?, context)
            }
            Self::Approve { expect } => concluded(
                &client.post("/v1/policy/approve", &json!({ "expect": expect })).await?,
                context,
            ),
            Self::History => {
                let sets: Value = client.get("/v1/policy/sets").await?;
                let columns = [
                    ("number", "number"),
                    ("applied at", "at"),
                    ("by", "actor"),
                    ("approved by", "approved_by"),
                    ("digest", "digest"),
                ];
                context.out.list(sets.at("items"), &columns)
            }
            Self::Rollback { number } => concluded(
                &client.post("/v1/policy/rollback", &json!({ "number": number })).await?,
                context,
            ),
        }
    }
}

fn show(set: &Value, out: Option<&Path>, context: &Context) -> Result<(), Problem> {
    let sources = set.at("files").as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(dir) = out {
        let failed =
            |error: std::io::Error| Problem::internal(&format!("cannot write into `{}`", dir.display()), &error);
        std::fs::create_dir(dir).map_err(failed)?;
        for file in sources {
            files::write(&dir.join(file.text("name")), file.text("text").as_bytes())?;
        }
        files::write(&dir.join(SETTINGS), settings_text(set.at("settings")).as_bytes())?;
        return context
            .out
            .done(&format!("written into {}", dir.display()), &json!({ "dir": dir }));
    }
    if context.out.format() == super::output::Format::Json {
        return context.out.record(set);
    }
    let by = set.at("actor").as_str().unwrap_or("the node itself");
    context.out.note(&format!(
        "policy set {}, applied at {} by {by}, digest {}",
        set.at("number"),
        set.text("at"),
        set.text("digest")
    ));
    if !set.at("proposal").is_null() {
        let (by, digest) = (set.at("proposal").text("by"), set.at("proposal").text("digest"));
        context
            .out
            .note(&format!("{by} proposes {digest}; another steward can approve it"));
    }
    for file in sources {
        context
            .out
            .text(&format!("// {}\n{}\n", file.text("name"), file.text("text")))?;
    }
    context.out.text(&settings_text(set.at("settings")))
}

/// Settings in the format of `settings.toml`; settings without a value are omitted.
fn settings_text(settings: &Value) -> String {
    let object = settings.as_object().into_iter().flatten();
    let set = object.filter(|(_, value)| !value.is_null());
    set.map(|(key, value)| format!("{key} = {value}\n")).collect()
}

fn tested(outcome: &Value, context: &Context) -> Result<(), Problem> {
    context.out.list(
        outcome.at("items"),
        &[("case", "case"), ("decision", "found"), ("as expected", "passed")],
    )?;
    let never = outcome
        .at("never_allowed")
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if *outcome.at("failed") == json!(0) && never.is_empty() {
        return Ok(());
    }
    let reasons = never.iter().filter_map(Value::as_str).map(str::to_owned);
    let detail = format!(
        "{} cases do not have the expected decision, and {} answers are allowed that no set may allow",
        outcome.at("failed"),
        never.len()
    );
    Err(Problem::new(ErrorKind::Denied, detail).because(reasons.collect::<Vec<_>>()))
}

fn compared(diff: &Value, context: &Context) -> Result<(), Problem> {
    if context.out.format() == super::output::Format::Json {
        return context.out.record(diff);
    }
    for (title, list, count) in [
        ("opens", "opens", "opens_in_all"),
        ("closes", "closes", "closes_in_all"),
    ] {
        context.out.text(&format!("{title}: {}\n", diff.at(count)))?;
        for line in diff.at(list).as_array().into_iter().flatten().filter_map(Value::as_str) {
            context.out.text(&format!("  {line}\n"))?;
        }
    }
    for line in diff.at("never_allowed").as_array().into_iter().flatten() {
        let line = line.as_str().unwrap_or_default();
        context
            .out
            .text(&format!("no set may allow this, and it stays denied: {line}\n"))?;
    }
    for line in diff
        .at("settings")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        context.out.text(&format!("setting {line}\n"))?;
    }
    for file in diff.at("text").as_array().into_iter().flatten() {
        context.out.text(&format!("--- {}\n", file.text("file")))?;
        for line in file
            .at("lines")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            context.out.text(&format!("{line}\n"))?;
        }
    }
    if diff.at("incomplete") == true {
        context
            .out
            .note("there are more datasets, members or named values than were compared");
    }
    context.out.text(&format!(
        "{} authorization requests compared: {}; digest {}\n",
        diff.at("compared"),
        sample_text(diff.at("sample")),
        diff.text("to")
    ))
}

/// What was sampled, for people.
fn sample_text(sample: &Value) -> String {
    let list = |key: &str| {
        let values = sample.at(key).as_array().into_iter().flatten();
        values.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "a sample of the possible requests, not all of them ({} institutions, {} datasets with {} columns, {})",
        sample.at("institutions"),
        sample.at("datasets"),
        sample.at("columns"),
        list("purposes")
    );
    let named = list("named");
    if !named.is_empty() {
        text.push_str(&format!("; it contains what rules name: {named}"));
    }
    if *sample.at("left_out") != json!(0) {
        text.push_str(&format!("; {} more named values are not in it", sample.at("left_out")));
    }
    text
}

fn concluded(applied: &Value, context: &Context) -> Result<(), Problem> {
    let digest = applied.text("digest");
    let sentence = if applied.at("state") == "proposed" {
        format!("proposed; another steward approves it with `concordat policy approve --expect {digest}`")
    } else {
        format!("policy set {} is applied, digest {digest}", applied.at("number"))
    };
    context.out.done(&sentence, applied)
}

/// The number of a set, or files.
fn side(text: &str) -> Result<Value, Problem> {
    match text.parse::<u64>() {
        Ok(number) => Ok(json!({ "number": number })),
        Err(_) => Ok(json!({ "sources": sources(Path::new(text))? })),
    }
}

/// A file of rules, or the rules and settings of a folder.
fn sources(path: &Path) -> Result<Value, Problem> {
    let unreadable =
        |path: &Path, error: std::io::Error| Problem::usage(format!("cannot read `{}`: {error}", path.display()));
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| unreadable(path, error));
    let mut rules = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, error))? {
            let found = entry.map_err(|error| unreadable(path, error))?.path();
            if found.extension().is_some_and(|extension| extension == "cedar") {
                rules.push(found);
            }
        }
        rules.sort();
    } else {
        rules.push(path.to_owned());
    }
    let mut files = Vec::new();
    for rule in rules {
        let name = rule.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(json!({ "name": name, "text": read(&rule)? }));
    }
    let settings = path.join(SETTINGS);
    let settings = if settings.is_file() {
        table(&settings, &read(&settings)?)?
    } else {
        json!({})
    };
    Ok(json!({ "files": files, "settings": settings }))
}

fn read_cases(path: &Path) -> Result<Value, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::usage(format!("cannot read `{}`: {error}", path.display())))?;
    let mut value = table(path, &text)?;
    let cases = value.as_object_mut().and_then(|object| object.remove("case"));
    cases.ok_or_else(|| Problem::usage(format!("`{}` contains no `[[case]]`", path.display())))
}

fn table(path: &Path, text: &str) -> Result<Value, Problem> {
    let table = text
        .parse::<toml::Table>()
        .map_err(|error| Problem::usage(format!("`{}` is not TOML: {error}", path.display())))?;
    serde_json::to_value(table).map_err(|error| Problem::internal("cannot read the file", &error))
}
