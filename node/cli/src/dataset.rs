//! `concordat dataset …`: datasets of this institution.

mod classify;
pub(crate) mod import;
mod inspect;
mod locks;
mod notes;
mod reading;

use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use clap::Subcommand;
use concordat_documents::dataset::{
    AcknowledgedAnswers, Dataset, DatasetCheck, DatasetSummary, DatasetVersion, Erased, Erasure, ErasureRequest,
    Indexed, LimitsBelowRecords, NewLimits, NewRetention, QueriesBelowRecords, Retention, TierLimits,
};
use concordat_documents::problem::Problem;
use concordat_documents::{Empty, Items};
use concordat_protocol::ids::{ColumnName, DatasetName, SegmentName};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Tier;
use concordat_protocol::text::Reason;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Column, Format};
use crate::prompt;
use concordat_client::Client;

#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Import a file, as a new dataset or as a new version of one
    Import(Box<import::Args>),
    /// What would be imported of a file; nothing is stored
    Inspect(Box<inspect::Args>),
    /// What to know about the latest import of a dataset: what was guessed, and what can be stated instead
    Notes {
        /// The dataset
        name: DatasetName,
    },
    /// All datasets
    List,
    /// One dataset with its columns
    Show {
        /// The dataset
        name: DatasetName,
    },
    /// Set the class of columns: direct-identifier, quasi-identifier, sensitive or ordinary
    Classify(classify::Args),
    /// Let members of the consortium see a dataset and request it
    Publish {
        /// The dataset
        name: DatasetName,
    },
    /// Set limits on a dataset's answers, or the highest tier for its sensitive columns; without an option, show them
    Limits(LimitArgs),
    /// The people whose queries below records to a dataset are locked, because they have reached limits
    Locks {
        /// The dataset
        name: DatasetName,
    },
    /// Unlock queries of people; it takes effect when another steward types the same
    Unlock(locks::Args),
    /// Acknowledge that answers below records which are missing since a restore do not count
    Acknowledge {
        /// The dataset
        name: DatasetName,
    },
    /// Withdraw a published dataset
    Withdraw {
        /// The dataset
        name: DatasetName,
    },
    /// Number the subjects of a dataset that was imported before they were numbered; until then it answers only at records
    Index {
        /// The dataset
        name: DatasetName,
    },
    /// All versions of a dataset
    Versions {
        /// The dataset
        name: DatasetName,
    },
    /// Retain only this many versions of a dataset, now and after each import
    Retain {
        /// The dataset
        name: DatasetName,
        /// How many of the newest versions are retained; 0 retains all
        #[arg(long, value_name = "COUNT")]
        versions: u32,
    },
    /// Destroy a dataset permanently, with its keys
    Erase {
        /// The dataset
        name: DatasetName,
        /// Why; recorded in the signed statement
        #[arg(long, value_name = "TEXT")]
        reason: Reason,
        /// Do not prompt for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// The signed statements of what was erased
    Erasures,
    /// Read all stored data of a dataset and check it
    Verify {
        /// The dataset
        name: DatasetName,
    },
}

/// The limits to set. Omitted limits stay unchanged.
#[derive(Debug, clap::Args)]
pub struct LimitArgs {
    /// The dataset
    name: DatasetName,
    /// Only at this tier: exists, count, aggregate or records
    #[arg(long)]
    tier: Option<Tier>,
    /// Fewest subjects behind a released cell
    #[arg(long, value_name = "COUNT")]
    min_cell: Option<NonZeroU32>,
    /// Most queries of one grant in 24 hours
    #[arg(long, value_name = "COUNT")]
    queries_per_day: Option<NonZeroU32>,
    /// Most queries below records of one person in 24 hours, at all tiers together
    #[arg(long, value_name = "COUNT")]
    person_queries: Option<NonZeroU32>,
    /// Most queries below records of one institution in 24 hours
    #[arg(long, value_name = "COUNT")]
    institution_queries: Option<NonZeroU32>,
    /// Most queries below records of all institutions together in 24 hours
    #[arg(long, value_name = "COUNT")]
    all_queries: Option<NonZeroU32>,
    /// Most rows in one answer
    #[arg(long, value_name = "COUNT")]
    max_rows: Option<NonZeroU64>,
    /// Longest duration of a grant, in days
    #[arg(long, value_name = "COUNT")]
    days: Option<NonZeroU16>,
    /// The highest tier at which sensitive columns are released, or none
    #[arg(long, value_name = "TIER")]
    sensitive: Option<String>,
    /// A column that reveals when a person was born although its name does not show it
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    birth_date: Vec<ColumnName>,
}

impl LimitArgs {
    async fn run(self, client: &Client, context: &Context) -> Result<(), Problem> {
        let path = format!("/v1/datasets/{}", self.name);
        let new = NewLimits {
            tier: self.tier,
            limits: TierLimits {
                min_cell: self.min_cell,
                queries_per_day: self.queries_per_day,
                max_rows: self.max_rows,
                days: self.days,
            },
            below_records: QueriesBelowRecords {
                person: self.person_queries,
                institution: self.institution_queries,
                all: self.all_queries,
            },
            sensitive: self.sensitive,
            births: self.birth_date.into_iter().collect(),
        };
        let nothing = NewLimits {
            tier: new.tier,
            ..NewLimits::default()
        };
        let dataset: Dataset = if new == nothing {
            client.get(&path).await?
        } else {
            client.post(&format!("{path}/limits"), &new).await?
        };
        let sensitive = dataset
            .sensitive
            .map_or_else(|| "none".to_owned(), |tier| tier.to_string());
        context
            .out
            .note(&format!("sensitive columns are released up to the tier: {sensitive}"));
        let LimitsBelowRecords {
            person,
            institution,
            all,
            ..
        } = dataset.below_records;
        context.out.note(&format!(
            "queries below records in 24 hours: at most {person} of a person, {institution} of an institution, {all} in all"
        ));
        context.out.list(&dataset.limits, &LIMITS)
    }
}

const LIMITS: [Column; 5] = [
    ("tier", "tier"),
    ("subjects in a cell", "min_cell"),
    ("queries a day", "queries_per_day"),
    ("rows an answer", "max_rows"),
    ("days", "days"),
];
const SUMMARY: [Column; 7] = [
    ("name", "name"),
    ("segment", "segment"),
    ("version", "version"),
    ("rows", "rows"),
    ("columns", "columns"),
    ("unclassified", "unclassified"),
    ("published", "published"),
];
const COLUMNS: [Column; 4] = [
    ("column", "name"),
    ("type", "kind"),
    ("may be missing", "nullable"),
    ("class", "class"),
];
const VERSIONS: [Column; 6] = [
    ("version", "version"),
    ("rows", "rows"),
    ("bytes", "bytes"),
    ("file", "file"),
    ("imported", "imported_at"),
    ("by", "by"),
];

const ERASURES: [Column; 5] = [
    ("dataset", "dataset"),
    ("versions", "versions"),
    ("erased", "at"),
    ("by", "by"),
    ("reason", "reason"),
];

impl DatasetCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        let out = &context.out;
        match self {
            Self::Import(args) => import::run(*args, &client, context).await,
            Self::Inspect(args) => inspect::run(*args, &client, context).await,
            Self::Notes { name } => notes::run(&name, &client, context).await,
            Self::Limits(args) => args.run(&client, context).await,
            Self::Locks { name } => locks::list(&name, &client, context).await,
            Self::Unlock(args) => args.run(&client, context).await,
            Self::Acknowledge { name } => acknowledge(&client, context, &name).await,
            Self::List => {
                let datasets: Items<DatasetSummary> = client.get("/v1/datasets").await?;
                out.list(&datasets.items, &SUMMARY)
            }
            Self::Show { name } => show(&client.get(&format!("/v1/datasets/{name}")).await?, context),
            Self::Classify(args) => classify::run(args, &client, context).await,
            Self::Publish { name } => {
                notes::point_to(&name, &client, context).await;
                change_visibility(&client, context, &name, "publish", "published").await
            }
            Self::Withdraw { name } => change_visibility(&client, context, &name, "withdraw", "withdrawn").await,
            Self::Index { name } => {
                let done: Indexed = client.post(&format!("/v1/datasets/{name}/index"), &Empty {}).await?;
                out.done(
                    &format!("the subjects of {name} are numbered in version {}", done.version),
                    &done,
                )
            }
            Self::Versions { name } => {
                let versions: Items<DatasetVersion> = client.get(&format!("/v1/datasets/{name}/versions")).await?;
                out.list(&versions.items, &VERSIONS)
            }
            Self::Retain { name, versions } => {
                let new = NewRetention {
                    versions: NonZeroU32::new(versions),
                };
                let done: Retention = client.post(&format!("/v1/datasets/{name}/retain"), &new).await?;
                out.done(&format!("{name}: the retention rule applies from now on"), &done)
            }
            Self::Erase { name, reason, yes } => {
                if !yes {
                    prompt::confirm(&format!("erase `{name}` permanently? type its name"), name.as_str())?;
                }
                let request = ErasureRequest { reason };
                let done: Erased = client.post(&format!("/v1/datasets/{name}/erase"), &request).await?;
                for path in &done.unreachable_repositories {
                    out.note(&format!(
                        "`{path}` cannot be reached: its copy is erased at the next start or backup during which it can be reached"
                    ));
                }
                out.done(&format!("{name} is erased and its keys are destroyed"), &done)
            }
            Self::Erasures => {
                let erasures: Items<Erasure> = client.get("/v1/erasures").await?;
                out.list(&erasures.items, &ERASURES)
            }
            Self::Verify { name } => {
                let found: DatasetCheck = client.post(&format!("/v1/datasets/{name}/verify"), &Empty {}).await?;
                out.record(&found)
            }
        }
    }
}

async fn change_visibility(
    client: &Client,
    context: &Context,
    name: &DatasetName,
    verb: &str,
    done: &str,
) -> Result<(), Problem> {
    let dataset: DatasetSummary = client.post(&format!("/v1/datasets/{name}/{verb}"), &Empty {}).await?;
    context.out.done(&format!("{name} is {done}"), &dataset)
}

async fn acknowledge(client: &Client, context: &Context, name: &DatasetName) -> Result<(), Problem> {
    let path = format!("/v1/datasets/{name}/acknowledge");
    let done: AcknowledgedAnswers = client.post(&path, &Empty {}).await?;
    let sentence = format!(
        "answers about {} after {} do not count",
        done.collection, done.known_until
    );
    context.out.done(&sentence, &done)
}

/// In table format, the columns are shown as a separate table below the rest.
fn show(dataset: &Dataset, context: &Context) -> Result<(), Problem> {
    match context.out.format() {
        Format::Json => context.out.record(dataset),
        Format::Csv => context.out.list(&dataset.columns, &COLUMNS),
        Format::Table => {
            let Dataset { columns, limits, .. } = dataset;
            context.out.record(&Rest::from(dataset))?;
            context.out.text("\n")?;
            context.out.list(limits, &LIMITS)?;
            context.out.text("\n")?;
            context.out.list(columns, &COLUMNS)
        }
    }
}

/// A dataset without its columns and limits.
#[derive(Serialize)]
struct Rest<'a> {
    name: &'a DatasetName,
    segment: &'a SegmentName,
    version: VersionNumber,
    oldest_version: VersionNumber,
    keep: Option<NonZeroU32>,
    rows: u64,
    subject_column: Option<&'a ColumnName>,
    subjects_numbered: bool,
    published: bool,
    sensitive: Option<Tier>,
    births: &'a BTreeSet<ColumnName>,
    source: &'a DatasetVersion,
}

impl<'a> From<&'a Dataset> for Rest<'a> {
    fn from(dataset: &'a Dataset) -> Self {
        Self {
            name: &dataset.name,
            segment: &dataset.segment,
            version: dataset.version,
            oldest_version: dataset.oldest_version,
            keep: dataset.keep,
            rows: dataset.rows,
            subject_column: dataset.subject_column.as_ref(),
            subjects_numbered: dataset.subjects_numbered,
            published: dataset.published,
            sensitive: dataset.sensitive,
            births: &dataset.births,
            source: &dataset.source,
        }
    }
}
