//! `concordat dataset …`: datasets of this institution.

mod import;

use crate::json::Field as _;
use clap::Subcommand;
use concordat_documents::problem::Problem;
use concordat_protocol::ids::DatasetName;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::output::Column;
use super::prompt;
use crate::api::client::Client;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Import a file, as a new dataset or as a new version of one
    Import(import::Args),
    /// All datasets
    List,
    /// One dataset with its columns
    Show {
        /// The dataset
        name: DatasetName,
    },
    /// Set the class of columns: direct-identifier, quasi-identifier, sensitive or ordinary
    Classify {
        /// The dataset
        name: DatasetName,
        /// COLUMN=CLASS, one for each column
        #[arg(required = true, value_name = "COLUMN=CLASS", value_parser = assignment)]
        classes: Vec<(String, String)>,
    },
    /// Let members of the consortium see a dataset and request it
    Publish {
        /// The dataset
        name: DatasetName,
    },
    /// Set limits on a dataset's answers, or the highest tier for its sensitive columns; without an option, show them
    Limits(LimitArgs),
    /// Withdraw a published dataset
    Withdraw {
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
        reason: String,
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
pub(super) struct LimitArgs {
    /// The dataset
    name: DatasetName,
    /// Only at this tier: exists, count, aggregate or records
    #[arg(long)]
    tier: Option<String>,
    /// Fewest subjects behind a released cell
    #[arg(long, value_name = "COUNT")]
    min_cell: Option<u32>,
    /// Most queries of one grant in 24 hours
    #[arg(long, value_name = "COUNT")]
    queries_per_day: Option<u32>,
    /// Most rows in one answer
    #[arg(long, value_name = "COUNT")]
    max_rows: Option<u64>,
    /// Longest duration of a grant, in days
    #[arg(long, value_name = "COUNT")]
    days: Option<u16>,
    /// The highest tier at which sensitive columns are released, or none
    #[arg(long, value_name = "TIER")]
    sensitive: Option<String>,
    /// A column that reveals when a person was born although its name does not show it
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    birth_date: Vec<String>,
}

impl LimitArgs {
    async fn run(self, client: &Client, context: &Context) -> Result<(), Problem> {
        let path = format!("/v1/datasets/{}", self.name);
        let limits = json!({
            "min_cell": self.min_cell,
            "queries_per_day": self.queries_per_day,
            "max_rows": self.max_rows,
            "days": self.days,
        });
        let is_set = self.sensitive.is_some()
            || !self.birth_date.is_empty()
            || limits
                .as_object()
                .is_some_and(|set| set.values().any(|one| !one.is_null()));
        let dataset: Value = if is_set {
            let body =
                json!({ "tier": self.tier, "limits": limits, "sensitive": self.sensitive, "births": self.birth_date });
            client.post(&format!("{path}/limits"), &body).await?
        } else {
            client.get(&path).await?
        };
        let sensitive = dataset.at("sensitive").as_str().unwrap_or("none").to_owned();
        context
            .out
            .note(&format!("sensitive columns are released up to the tier: {sensitive}"));
        context.out.list(dataset.at("limits"), &LIMITS)
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

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<(), Problem> {
        let client = context.client()?;
        let out = &context.out;
        match self {
            Self::Import(args) => import::run(args, &client, context).await,
            Self::Limits(args) => args.run(&client, context).await,
            Self::List => {
                let datasets: Value = client.get("/v1/datasets").await?;
                out.list(datasets.at("items"), &SUMMARY)
            }
            Self::Show { name } => {
                let dataset: Value = client.get(&format!("/v1/datasets/{name}")).await?;
                show(dataset, context)
            }
            Self::Classify { name, classes } => {
                let classes: Map<String, Value> = classes.into_iter().map(|(c, class)| (c, class.into())).collect();
                let count = classes.len();
                let body = json!({ "classes": classes });
                let dataset: Value = client.post(&format!("/v1/datasets/{name}/classify"), &body).await?;
                out.done(&format!("{count} columns of {name} classified"), &dataset)
            }
            Self::Publish { name } => change_visibility(&client, context, &name, "publish", "published").await,
            Self::Withdraw { name } => change_visibility(&client, context, &name, "withdraw", "withdrawn").await,
            Self::Versions { name } => {
                let versions: Value = client.get(&format!("/v1/datasets/{name}/versions")).await?;
                out.list(versions.at("items"), &VERSIONS)
            }
            Self::Retain { name, versions } => {
                let body = json!({ "versions": (versions > 0).then_some(versions) });
                let done: Value = client.post(&format!("/v1/datasets/{name}/retain"), &body).await?;
                out.done(&format!("{name}: the retention rule applies from now on"), &done)
            }
            Self::Erase { name, reason, yes } => {
                if !yes {
                    prompt::confirm(&format!("erase `{name}` permanently? type its name"), name.as_str())?;
                }
                let body = json!({ "reason": reason });
                let done: Value = client.post(&format!("/v1/datasets/{name}/erase"), &body).await?;
                for path in done.at("unreachable_repositories").as_array().into_iter().flatten() {
                    let path = path.as_str().unwrap_or_default();
                    out.note(&format!(
                        "`{path}` cannot be reached: its copy is erased at the next start or backup during which it can be reached"
                    ));
                }
                out.done(&format!("{name} is erased and its keys are destroyed"), &done)
            }
            Self::Erasures => {
                let erasures: Value = client.get("/v1/erasures").await?;
                out.list(erasures.at("items"), &ERASURES)
            }
            Self::Verify { name } => {
                let found: Value = client.post(&format!("/v1/datasets/{name}/verify"), &json!({})).await?;
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
    let dataset: Value = client.post(&format!("/v1/datasets/{name}/{verb}"), &json!({})).await?;
    context.out.done(&format!("{name} is {done}"), &dataset)
}

/// In table format, the columns are shown as a separate table below the rest.
fn show(mut dataset: Value, context: &Context) -> Result<(), Problem> {
    if context.out.format() == super::output::Format::Json {
        return context.out.record(&dataset);
    }
    let mut taken = |field: &str| {
        let fields = dataset.as_object_mut();
        fields.and_then(|fields| fields.remove(field)).unwrap_or_default()
    };
    let (columns, limits) = (taken("columns"), taken("limits"));
    if context.out.format() == super::output::Format::Table {
        context.out.record(&dataset)?;
        context.out.text("\n")?;
        context.out.list(&limits, &LIMITS)?;
        context.out.text("\n")?;
    }
    context.out.list(&columns, &COLUMNS)
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let parts = text
        .split_once('=')
        .filter(|(column, class)| !column.is_empty() && !class.is_empty());
    parts
        .map(|(column, class)| (column.to_owned(), class.to_owned()))
        .ok_or_else(|| "write it as COLUMN=CLASS, such as `age=quasi-identifier`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_assignment_needs_column_and_class() {
        assert_eq!(assignment("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for wrong in ["a", "=b", "a="] {
            assert!(assignment(wrong).is_err(), "{wrong}");
        }
    }
}
