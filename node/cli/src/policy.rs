//! `concordat policy …`

mod sources;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_documents::Items;
use concordat_documents::policy::{
    AppliedPolicy, CheckedPolicy, ComparedSet, CurrentPolicySet, NewPolicySet, PolicyApproval, PolicyComparison,
    PolicyDiff, PolicyProposal, PolicyRollback, PolicySet, PolicySetSummary, PolicyState, PolicyTest, PolicyTestReport,
    Sampled,
};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::Digest32;
use serde::Serialize;

use self::sources::{cases, cases_beside, compared, export, settings_text, sources};
use crate::context::Context;
use crate::output::{Column, Format};

const HISTORY: [Column; 5] = [
    ("number", "number"),
    ("applied at", "at"),
    ("by", "actor"),
    ("approved by", "approved_by"),
    ("digest", "digest"),
];

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
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

impl PolicyCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Show { number, out } => show(number, out.as_deref(), context).await,
            Self::Check { path } => check(&path, context).await,
            Self::Test { rules, cases } => test(rules.as_deref(), &cases, context).await,
            Self::Diff { a, b } => {
                let (from, to) = match b {
                    Some(b) => (compared(&a)?, compared(&b)?),
                    None => (ComparedSet::Current, compared(&a)?),
                };
                compare(&PolicyComparison { from, to }, context).await
            }
            Self::Apply { path, expect } => {
                let new = NewPolicySet {
                    cases: cases_beside(&path)?,
                    sources: sources(&path)?,
                    expect,
                };
                change("apply", &new, context).await
            }
            Self::Approve { expect } => change("approve", &PolicyApproval { expect }, context).await,
            Self::History => {
                let sets: Items<PolicySetSummary> = context.client()?.get("/v1/policy/sets").await?;
                context.out.list(&sets.items, &HISTORY)
            }
            Self::Rollback { number } => change("rollback", &PolicyRollback { number }, context).await,
        }
    }
}

async fn show(number: Option<u64>, dir: Option<&Path>, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let (set, proposal) = match number {
        Some(number) => {
            let set: PolicySet = client.get(&format!("/v1/policy/sets/{number}")).await?;
            if dir.is_none() && context.out.format() == Format::Json {
                return context.out.record(&set);
            }
            (set, None)
        }
        None => {
            let current: CurrentPolicySet = client.get("/v1/policy").await?;
            if dir.is_none() && context.out.format() == Format::Json {
                return context.out.record(&current);
            }
            split(current)
        }
    };
    match dir {
        Some(dir) => {
            export(dir, &set.files, &set.settings)?;
            let written = Written { dir };
            context.out.done(&format!("written into {}", dir.display()), &written)
        }
        None => write(&set, proposal.as_ref(), context),
    }
}

/// The folder into which a set was written.
#[derive(Serialize)]
struct Written<'a> {
    dir: &'a Path,
}

/// The current set as any other, and the proposal that waits.
fn split(current: CurrentPolicySet) -> (PolicySet, Option<PolicyProposal>) {
    let set = PolicySet {
        number: current.number,
        digest: current.digest,
        actor: current.actor,
        approved_by: current.approved_by,
        at: current.at,
        files: current.files,
        settings: current.settings,
    };
    (set, current.proposal)
}

/// Writes a set as text: its files, and its settings.
fn write(set: &PolicySet, proposal: Option<&PolicyProposal>, context: &Context) -> Result<(), Problem> {
    let by = set.actor.as_ref().map_or("the node itself", |actor| actor.as_str());
    context.out.note(&format!(
        "policy set {}, applied at {} by {by}, digest {}",
        set.number, set.at, set.digest
    ));
    if let Some(PolicyProposal { by, digest, .. }) = proposal {
        context
            .out
            .note(&format!("{by} proposes {digest}; another steward can approve it"));
    }
    for file in &set.files {
        context.out.text(&format!("// {}\n{}\n", file.name, file.text))?;
    }
    context.out.text(&settings_text(&set.settings))
}

async fn check(path: &Path, context: &Context) -> Result<(), Problem> {
    let checked: CheckedPolicy = context.client()?.post("/v1/policy/check", &sources(path)?).await?;
    context
        .out
        .note(&format!("they were tried with {}", sample_text(&checked.sample)));
    let sentence = format!("{} rules are valid; digest {}", checked.rules, checked.digest);
    context.out.done(&sentence, &checked)
}

async fn test(rules: Option<&Path>, file: &Path, context: &Context) -> Result<(), Problem> {
    let test = PolicyTest {
        sources: rules.map(sources).transpose()?,
        cases: cases(file)?,
    };
    let report: PolicyTestReport = context.client()?.post("/v1/policy/test", &test).await?;
    context.out.list(
        &report.items,
        &[("case", "case"), ("decision", "found"), ("as expected", "passed")],
    )?;
    if report.failed == 0 && report.never_allowed.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{} cases do not have the expected decision, and {} answers are allowed that no set may allow",
        report.failed,
        report.never_allowed.len()
    );
    Err(Problem::new(ErrorKind::Denied, detail).because(report.never_allowed))
}

async fn compare(sets: &PolicyComparison, context: &Context) -> Result<(), Problem> {
    let diff: PolicyDiff = context.client()?.post("/v1/policy/diff", sets).await?;
    if context.out.format() == Format::Json {
        return context.out.record(&diff);
    }
    context.out.text(&permissions_text(&diff))?;
    context.out.text(&sources_text(&diff))?;
    if diff.incomplete {
        context
            .out
            .note("there are more datasets, members or named values than were compared");
    }
    context.out.text(&format!(
        "{} authorization requests compared: {}; digest {}\n",
        diff.compared,
        sample_text(&diff.sample),
        diff.to
    ))
}

/// What becomes allowed, what no longer is, and what no set may allow.
fn permissions_text(diff: &PolicyDiff) -> String {
    let mut text = String::new();
    for (title, lines, count) in [
        ("opens", &diff.opens, diff.opens_in_all),
        ("closes", &diff.closes, diff.closes_in_all),
    ] {
        text.push_str(&format!("{title}: {count}\n"));
        text.extend(lines.iter().map(|line| format!("  {line}\n")));
    }
    let prohibited = diff.never_allowed.iter();
    text.extend(prohibited.map(|line| format!("no set may allow this, and it stays denied: {line}\n")));
    text
}

/// The settings and the lines of files that differ.
fn sources_text(diff: &PolicyDiff) -> String {
    let settings = diff.settings.iter().map(|line| format!("setting {line}\n"));
    let files = diff.text.iter().flat_map(|file| {
        let lines = file.lines.iter().map(|line| format!("{line}\n"));
        std::iter::once(format!("--- {}\n", file.file)).chain(lines)
    });
    settings.chain(files).collect()
}

/// What was sampled, for people.
fn sample_text(sample: &Sampled) -> String {
    let mut text = format!(
        "a sample of the possible requests, not all of them ({} institutions, {} datasets with {} columns, {})",
        sample.institutions,
        sample.datasets,
        sample.columns,
        sample.purposes.join(", ")
    );
    if !sample.named.is_empty() {
        text.push_str(&format!("; it contains what rules name: {}", sample.named.join(", ")));
    }
    if sample.left_out != 0 {
        text.push_str(&format!("; {} more named values are not in it", sample.left_out));
    }
    text
}

/// Applies, proposes or approves a set, as the last part of the path of its route names it.
async fn change(verb: &str, body: &impl Serialize, context: &Context) -> Result<(), Problem> {
    let done: AppliedPolicy = context.client()?.post(&format!("/v1/policy/{verb}"), body).await?;
    let AppliedPolicy { number, digest, .. } = &done;
    let sentence = match (done.state, number) {
        (PolicyState::Applied, Some(number)) => format!("policy set {number} is applied, digest {digest}"),
        (PolicyState::Applied, None) => format!("the policy set is applied, digest {digest}"),
        (PolicyState::Proposed, _) => {
            format!("proposed; another steward approves it with `concordat policy approve --expect {digest}`")
        }
    };
    context.out.done(&sentence, &done)
}
