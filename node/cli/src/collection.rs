//! `concordat collection …`: collections of datasets that are imported, declared and published together.

mod import;
mod notes;
mod show;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use concordat_documents::collection::{Collection, CollectionSummary, NewRules, TemplateText, WithheldColumns};
use concordat_documents::dataset::{DatasetCheck, Erased, ErasureRequest, NewRetention, Retention};
use concordat_documents::problem::Problem;
use concordat_documents::{Empty, Items};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::CollectionName;
use concordat_protocol::text::Reason;

use self::show::show;
use crate::context::Context;
use crate::files;
use crate::output::{Column, Format};
use crate::prompt;
use crate::withheld::withheld_note;
use concordat_client::{Client, segment};

#[derive(Debug, Subcommand)]
pub enum CollectionCommand {
    /// Import a folder, or a zip or tar archive of one, as one version of all its datasets
    Import(Box<import::Args>),
    /// What is declared about a collection, or the template of a data model, as a file
    Template {
        /// The collection
        #[arg(required_unless_present = "template")]
        name: Option<CollectionName>,
        /// The template of a data model instead, such as `omop-5.3`
        #[arg(long, value_name = "NAME", conflicts_with = "name")]
        template: Option<String>,
    },
    /// Declare what a template file states: classes of columns, what they are for joins, and what statistics may distinguish
    Classify {
        /// The collection
        name: CollectionName,
        /// The template file; datasets and columns by name, or by a pattern in which `*` stands for any characters
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Nothing else stays declared
        #[arg(long)]
        replace: bool,
    },
    /// All collections; a dataset alone is a collection of one
    List,
    /// One collection: its datasets, rows without owner, and what prevents that it is published
    Show {
        /// The collection
        name: CollectionName,
    },
    /// What to know about the latest import of each dataset, on one screen
    Notes {
        /// The collection
        name: CollectionName,
        /// Each note, also those that columns have in common
        #[arg(long)]
        all: bool,
    },
    /// Publish a collection, if all of its columns have a class
    Publish {
        /// The collection
        name: CollectionName,
    },
    /// Withdraw a published collection
    Withdraw {
        /// The collection
        name: CollectionName,
    },
    /// Retain only this many versions of a collection, now and after each import
    Retain {
        /// The collection
        name: CollectionName,
        /// How many of the newest versions are retained; 0 retains all
        #[arg(long, value_name = "COUNT")]
        versions: u32,
    },
    /// Destroy a collection permanently, with its keys
    Erase {
        /// The collection
        name: CollectionName,
        /// Why; recorded in the signed statement
        #[arg(long, value_name = "TEXT")]
        reason: Reason,
        /// Do not prompt for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Read all stored data of a collection and check it
    Verify {
        /// The collection
        name: CollectionName,
    },
}

const SUMMARY: [Column; 8] = [
    ("name", "name"),
    ("segment", "segment"),
    ("version", "version"),
    ("datasets", "datasets"),
    ("rows", "rows"),
    ("columns", "columns"),
    ("unclassified", "unclassified"),
    ("published", "published"),
];

impl CollectionCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        let out = &context.out;
        match self {
            Self::Import(args) => import::run(*args, &client, context).await,
            Self::Template { name, template } => print_template(name, template, &client, context).await,
            Self::Classify { name, from, replace } => classify(&name, &from, replace, &client, context).await,
            Self::List => {
                let collections: Items<CollectionSummary> = client.get("/v1/collections").await?;
                out.list(&collections.items, &SUMMARY)
            }
            Self::Show { name } => show(&client.get(&path(&name, "")).await?, context),
            Self::Notes { name, all } => notes::run(&name, all, &client, context).await,
            Self::Publish { name } => publish(&name, &client, context).await,
            Self::Withdraw { name } => {
                let done: Collection = client.post(&path(&name, "/withdraw"), &Empty {}).await?;
                out.done(&format!("{name} is withdrawn"), &done)
            }
            Self::Retain { name, versions } => {
                let new = NewRetention {
                    versions: NonZeroU32::new(versions),
                };
                let done: Retention = client.post(&path(&name, "/retain"), &new).await?;
                out.done(&format!("{name}: the retention rule applies from now on"), &done)
            }
            Self::Erase { name, reason, yes } => erase(&name, ErasureRequest { reason }, yes, &client, context).await,
            Self::Verify { name } => {
                let found: DatasetCheck = client.post(&path(&name, "/verify"), &Empty {}).await?;
                out.record(&found)
            }
        }
    }
}

fn path(name: &CollectionName, verb: &str) -> String {
    format!("/v1/collections/{name}{verb}")
}

async fn print_template(
    name: Option<CollectionName>,
    template: Option<String>,
    client: &Client,
    context: &Context,
) -> Result<(), Problem> {
    let path = match (name, template) {
        (Some(name), _) => path(&name, "/template"),
        (None, Some(template)) => format!("/v1/templates/{}", segment(&template)),
        (None, None) => return Err(Problem::usage("name a collection or a template")),
    };
    let found: TemplateText = client.get(&path).await?;
    match context.out.format() {
        Format::Json => context.out.record(&found),
        Format::Csv | Format::Table => context.out.text(&found.text),
    }
}

async fn classify(
    name: &CollectionName,
    from: &Path,
    replace: bool,
    client: &Client,
    context: &Context,
) -> Result<(), Problem> {
    let new = NewRules {
        template: files::read_text(from, import::MAX_TEMPLATE)?,
        replace,
    };
    let declared: Collection = client.post(&path(name, "/rules"), &new).await?;
    let left: u64 = declared.datasets.iter().map(|dataset| dataset.unclassified).sum();
    if left > 0 {
        let note = format!("{left} columns have no class yet: `concordat collection show {name}` lists them");
        context.out.note(&note);
    }
    note_withheld(&declared, context);
    let sentence = format!("what `{}` declares about {name} applies", from.display());
    context.out.done(&sentence, &declared)
}

/// Notes the columns that no one is shown.
fn note_withheld(collection: &Collection, context: &Context) {
    let names: Vec<String> = collection.withheld.iter().flat_map(WithheldColumns::names).collect();
    if let Some(note) = withheld_note(&names) {
        context.out.note(&note);
    }
}

/// A refusal is shown with the screen that has all of it.
async fn publish(name: &CollectionName, client: &Client, context: &Context) -> Result<(), Problem> {
    let published: Result<Collection, Problem> = client.post(&path(name, "/publish"), &Empty {}).await;
    match published {
        Ok(done) => {
            note_withheld(&done, context);
            context.out.done(&format!("{name} is published"), &done)
        }
        Err(problem) => {
            let is_unclassified = problem.code == ErrorKind::Usage && !problem.reasons.is_empty();
            if is_unclassified && context.out.format() == Format::Table {
                show(&client.get(&path(name, "")).await?, context)?;
            }
            Err(problem)
        }
    }
}

async fn erase(
    name: &CollectionName,
    request: ErasureRequest,
    yes: bool,
    client: &Client,
    context: &Context,
) -> Result<(), Problem> {
    if !yes {
        prompt::confirm(&format!("erase `{name}` permanently? type its name"), name.as_str())?;
    }
    let done: Erased = client.post(&path(name, "/erase"), &request).await?;
    for repository in &done.unreachable_repositories {
        context.out.note(&format!(
            "`{repository}` cannot be reached: its copy is erased at the next start or backup during which it can be reached"
        ));
    }
    context
        .out
        .done(&format!("{name} is erased and its keys are destroyed"), &done)
}
