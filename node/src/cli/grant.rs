//! `concordat grant …`

use crate::json::Field as _;
use clap::{Args, Subcommand};
use concordat_documents::problem::Problem;
use serde_json::{Map, Value, json};

use super::context::Context;
use crate::api::client::segment;

/// Negotiations and the grants that result from them.
#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// Request access from another institution: `grant request budapest/heart --purpose health-research --until 2027-06-30`
    Request(RequestArgs),
    /// List negotiations and grants
    List,
    /// Show one
    Show {
        /// Its id, or a prefix of it
        id: String,
    },
    /// Show every message of its negotiation
    Transcript {
        /// Its id, or a prefix of it
        id: String,
    },
    /// Offer what the policy allows of a request, or narrower terms: `grant offer 5b97 --tier aggregate --limits min-cell=20`
    Offer(OfferArgs),
    /// Accept an offer
    Accept {
        /// Its id, or a prefix of it
        id: String,
    },
    /// Sign the agreed terms, if that has not happened automatically
    Verify {
        /// Its id, or a prefix of it
        id: String,
    },
    /// Decline a request or an offer
    Reject(ReasonArgs),
    /// Suspend a grant temporarily
    Suspend(ReasonArgs),
    /// Resume a suspended grant
    Resume(ReasonArgs),
    /// End a grant permanently; running answers stop at once
    Revoke(ReasonArgs),
    /// Give up a grant
    Relinquish(ReasonArgs),
    /// Show the differences between two grants
    Diff {
        /// The first
        a: String,
        /// The second
        b: String,
    },
}

/// What is requested.
#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// The dataset, as `institution/dataset`
    dataset: String,
    /// How much an answer may reveal: exists, count, aggregate or records
    #[arg(long, default_value = "records")]
    tier: String,
    /// The columns, separated by commas; all by default
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Which rows, for example "age >= 40 AND sex = 1"
    #[arg(long = "where")]
    condition: Option<String>,
    /// The purpose: general-research, health-research, disease:MONDO:nnnnnnn, methods-development, ancestry, clinical-care
    #[arg(long, required = true, value_delimiter = ',')]
    purpose: Vec<String>,
    /// The end, for example 2027-06-30
    #[arg(long)]
    until: String,
    /// Who may use it, as name@institution; everyone with the role by default
    #[arg(long, value_delimiter = ',')]
    people: Vec<String>,
    /// The justification, in a sentence for the steward
    #[arg(long)]
    justification: Option<String>,
}

/// How the offer narrows what the policy allows. Omitted parts stay as the policy allows them.
#[derive(Debug, Args)]
pub(super) struct OfferArgs {
    /// Its id, or a prefix of it
    id: String,
    /// The highest tier: exists, count, aggregate or records
    #[arg(long)]
    tier: Option<String>,
    /// Only these columns, separated by commas
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Only these rows, for example "age >= 40 AND sex = 1"
    #[arg(long = "where")]
    condition: Option<String>,
    /// The end, for example 2027-06-30
    #[arg(long)]
    until: Option<String>,
    /// Only these people, as name@institution
    #[arg(long, value_delimiter = ',')]
    people: Vec<String>,
    /// Limits, for example max-rows=1000,queries-per-day=20,min-cell=20
    #[arg(long, value_name = "LIMIT=NUMBER", value_delimiter = ',')]
    limits: Vec<String>,
    /// How columns are shown, for example age=band:10,visit=year,name=pseudonym,chol=removed
    #[arg(long = "transform", value_name = "COLUMN=TRANSFORM", value_delimiter = ',')]
    transforms: Vec<String>,
}

impl OfferArgs {
    fn body(&self) -> Result<Value, Problem> {
        let limits: Result<Map<String, Value>, Problem> = self.limits.iter().map(|text| limit(text)).collect();
        let transforms: Result<Map<String, Value>, Problem> = self
            .transforms
            .iter()
            .map(|text| split(text).map(|(column, transform)| (column.to_owned(), transform.into())))
            .collect();
        Ok(json!({
            "tier": self.tier,
            "columns": non_empty(&self.columns),
            "where": self.condition,
            "until": self.until,
            "people": non_empty(&self.people),
            "limits": limits?,
            "transforms": transforms?,
        }))
    }
}

fn non_empty(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

fn split(text: &str) -> Result<(&str, &str), Problem> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    parts.ok_or_else(|| Problem::usage(format!("`{text}` is not of the form NAME=VALUE")))
}

fn limit(text: &str) -> Result<(String, Value), Problem> {
    let (name, number) = split(text)?;
    if !["max-rows", "queries-per-day", "min-cell"].contains(&name) {
        return Err(Problem::usage(format!("`{name}` is not a limit"))
            .help("the limits are max-rows, queries-per-day and min-cell"));
    }
    let number: u64 = number
        .parse()
        .map_err(|_| Problem::usage(format!("the limit `{name}` must be a whole number")))?;
    Ok((name.replace('-', "_"), number.into()))
}

/// A step that gives a reason.
#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    /// Its id, or a prefix of it
    id: String,
    /// The reason, for the other side and the ledger
    #[arg(long, default_value = "no reason given")]
    reason: String,
}

/// Runs the command.
///
/// # Errors
/// The problem that the node returned.
pub(super) async fn run(command: GrantCommand, context: &Context) -> Result<(), Problem> {
    match command {
        GrantCommand::Request(args) => request(args, context).await,
        GrantCommand::List => list(context).await,
        GrantCommand::Show { id } => show(&id, context).await,
        GrantCommand::Transcript { id } => transcript(&id, context).await,
        GrantCommand::Offer(args) => take_step(&args.id, "offer", &args.body()?, context).await,
        GrantCommand::Accept { id } => step(&id, "accept", None, context).await,
        GrantCommand::Verify { id } => step(&id, "verify", None, context).await,
        GrantCommand::Reject(args) => step(&args.id, "reject", Some(&args.reason), context).await,
        GrantCommand::Suspend(args) => step(&args.id, "suspend", Some(&args.reason), context).await,
        GrantCommand::Resume(args) => step(&args.id, "resume", Some(&args.reason), context).await,
        GrantCommand::Revoke(args) => step(&args.id, "revoke", Some(&args.reason), context).await,
        GrantCommand::Relinquish(args) => step(&args.id, "relinquish", Some(&args.reason), context).await,
        GrantCommand::Diff { a, b } => diff(&a, &b, context).await,
    }
}

async fn request(args: RequestArgs, context: &Context) -> Result<(), Problem> {
    let dataset: concordat_protocol::ids::DatasetRef = args.dataset.parse()?;
    let body = json!({
        "dataset": dataset,
        "request": {
            "tier": args.tier,
            "columns": non_empty(&args.columns),
            "where": args.condition,
            "purposes": args.purpose,
            "until": args.until,
            "people": non_empty(&args.people),
        },
        "justification": args.justification,
    });
    let grant: Value = context.client()?.post("/v1/grants/request", &body).await?;
    let (id, peer) = (grant.text("id"), grant.text("peer"));
    context
        .out
        .done(&format!("request sent to `{peer}`; the negotiation is {id}"), &grant)
}

async fn list(context: &Context) -> Result<(), Problem> {
    let grants: Value = context.client()?.get("/v1/grants").await?;
    let columns = [
        ("id", "id"),
        ("state", "state"),
        ("side", "side"),
        ("peer", "peer"),
        ("dataset", "dataset"),
        ("tier", "tier"),
        ("until", "not_after"),
    ];
    context.out.list(&grants, &columns)
}

async fn show(id: &str, context: &Context) -> Result<(), Problem> {
    let mut grant: Value = context.client()?.get(&format!("/v1/grants/{}", segment(id))).await?;
    if context.out.format() != super::output::Format::Json {
        flatten(&mut grant);
    }
    context.out.record(&grant)
}

async fn transcript(id: &str, context: &Context) -> Result<(), Problem> {
    let transcript: Value = context
        .client()?
        .get(&format!("/v1/grants/{}/transcript", segment(id)))
        .await?;
    if context.out.format() == super::output::Format::Json {
        return context.out.record(&transcript);
    }
    let columns = [
        ("#", "sequence"),
        ("from", "from"),
        ("sent", "sent_at"),
        ("summary", "summary"),
        ("digest", "digest"),
    ];
    context.out.list(transcript.at("messages"), &columns)
}

async fn step(id: &str, verb: &str, reason: Option<&str>, context: &Context) -> Result<(), Problem> {
    let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    take_step(id, verb, &body, context).await
}

async fn take_step(id: &str, verb: &str, body: &Value, context: &Context) -> Result<(), Problem> {
    let grant: Value = context
        .client()?
        .post(&format!("/v1/grants/{}/{verb}", segment(id)), body)
        .await?;
    // From the first grant on, this key identifies the other side.
    if ["offer", "accept"].contains(&verb) {
        let (peer, key) = (grant.text("peer"), grant.text("peer_fingerprint"));
        context.out.note(&format!(
            "the grant is for the key {key} of `{peer}`; compare it by telephone"
        ));
    }
    let sentence = format!("{} is {}", grant.text("id"), grant.text("state"));
    if grant.at("acknowledged") == false {
        context
            .out
            .note("the other side has not acknowledged it yet; the notice is sent again when it connects");
    }
    context.out.done(&sentence, &grant)
}

/// Field by field; the scopes are compared as they are shown.
async fn diff(a: &str, b: &str, context: &Context) -> Result<(), Problem> {
    let first: Value = context.client()?.get(&format!("/v1/grants/{}", segment(a))).await?;
    let second: Value = context.client()?.get(&format!("/v1/grants/{}", segment(b))).await?;
    let fields = [
        "provider",
        "dataset",
        "tier",
        "columns",
        "rows",
        "purposes",
        "people",
        "places",
        "not_before",
        "not_after",
        "limits",
    ];
    let differing = fields.into_iter().filter(|field| first.at(field) != second.at(field));
    let rows: Vec<Value> = differing
        .map(|field| json!({ "part": field, "a": first.at(field), "b": second.at(field) }))
        .collect();
    context
        .out
        .list(&Value::Array(rows), &[("part", "part"), ("a", "a"), ("b", "b")])
}

/// Converts lists of objects to text for a table.
fn flatten(grant: &mut Value) {
    let Some(object) = grant.as_object_mut() else { return };
    if let Some(columns) = object.get_mut("columns") {
        let shown = columns
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| format!("{} ({})", c.text("name"), c.text("transform")));
        *columns = shown.collect::<Vec<_>>().join(", ").into();
    }
    if let Some(narrowings) = object.get_mut("narrowings") {
        let shown = narrowings.as_array().into_iter().flatten();
        let shown = shown.map(|n| format!("{} -> {}: {}", n.text("requested"), n.text("offered"), n.text("reason")));
        *narrowings = shown.collect::<Vec<_>>().join("; ").into();
    }
}
