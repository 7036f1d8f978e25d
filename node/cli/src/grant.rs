//! `concordat grant …`

mod shown;
mod terms;

use clap::{Args, Subcommand};
use concordat_documents::Empty;
use concordat_documents::grant::{Grant, GrantChange, GrantRequest, OfferTerms, Transcript};
use concordat_documents::problem::Problem;
use concordat_protocol::text::Reason;
use serde::Serialize;

pub(crate) use self::shown::ShownGrant;
use self::shown::differences;
use self::terms::{OfferArgs, RequestArgs};
use crate::context::Context;
use crate::output::Format;
use concordat_client::segment;

/// Negotiations and the grants that result from them.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
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

/// A step that gives a reason.
#[derive(Debug, Args)]
pub struct ReasonArgs {
    /// Its id, or a prefix of it
    id: String,
    /// The reason, for the other side and the ledger
    #[arg(long, default_value = "no reason given")]
    reason: Reason,
}

/// Runs the command.
///
/// # Errors
/// The problem that the node returned.
pub(crate) async fn run(command: GrantCommand, context: &Context) -> Result<(), Problem> {
    match command {
        GrantCommand::Request(args) => request(args, context).await,
        GrantCommand::List => list(context).await,
        GrantCommand::Show { id } => show(&id, context).await,
        GrantCommand::Transcript { id } => transcript(&id, context).await,
        GrantCommand::Offer(args) => {
            let grant = step(&args.id, "offer", &OfferTerms::from(args.terms), context).await?;
            note_key(&grant, context);
            conclude(&grant, context)
        }
        GrantCommand::Accept { id } => {
            let grant = step(&id, "accept", &Empty {}, context).await?;
            note_key(&grant, context);
            conclude(&grant, context)
        }
        GrantCommand::Verify { id } => conclude(&step(&id, "verify", &Empty {}, context).await?, context),
        GrantCommand::Reject(args) => change(args, "reject", context).await,
        GrantCommand::Suspend(args) => change(args, "suspend", context).await,
        GrantCommand::Resume(args) => change(args, "resume", context).await,
        GrantCommand::Revoke(args) => change(args, "revoke", context).await,
        GrantCommand::Relinquish(args) => change(args, "relinquish", context).await,
        GrantCommand::Diff { a, b } => diff(&a, &b, context).await,
    }
}

async fn request(args: RequestArgs, context: &Context) -> Result<(), Problem> {
    let request = GrantRequest::from(args);
    let grant: Grant = context.client()?.post("/v1/grants/request", &request).await?;
    let sentence = format!("request sent to `{}`; the negotiation is {}", grant.peer, grant.id);
    context.out.done(&sentence, &grant)
}

async fn list(context: &Context) -> Result<(), Problem> {
    let grants: Vec<Grant> = context.client()?.get("/v1/grants").await?;
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
    let grant = get(id, context).await?;
    match context.out.format() {
        Format::Json => context.out.record(&grant),
        Format::Table | Format::Csv => context.out.record(&ShownGrant::summarized(grant)),
    }
}

async fn get(id: &str, context: &Context) -> Result<Grant, Problem> {
    context.client()?.get(&format!("/v1/grants/{}", segment(id))).await
}

async fn transcript(id: &str, context: &Context) -> Result<(), Problem> {
    let path = format!("/v1/grants/{}/transcript", segment(id));
    let transcript: Transcript = context.client()?.get(&path).await?;
    if context.out.format() == Format::Json {
        return context.out.record(&transcript);
    }
    let columns = [
        ("#", "sequence"),
        ("from", "from"),
        ("sent", "sent_at"),
        ("summary", "summary"),
        ("digest", "digest"),
    ];
    context.out.list(&transcript.messages, &columns)
}

async fn step(id: &str, verb: &str, body: &impl Serialize, context: &Context) -> Result<Grant, Problem> {
    let path = format!("/v1/grants/{}/{verb}", segment(id));
    context.client()?.post(&path, body).await
}

async fn change(args: ReasonArgs, verb: &str, context: &Context) -> Result<(), Problem> {
    let ReasonArgs { id, reason } = args;
    conclude(&step(&id, verb, &GrantChange { reason }, context).await?, context)
}

/// From the first grant on, this key identifies the other side.
fn note_key(grant: &Grant, context: &Context) {
    context.out.note(&format!(
        "the grant is for the key {} of `{}`; compare it by telephone",
        grant.peer_fingerprint, grant.peer
    ));
}

fn conclude(grant: &Grant, context: &Context) -> Result<(), Problem> {
    if grant.acknowledged == Some(false) {
        context
            .out
            .note("the other side has not acknowledged it yet; the notice is sent again when it connects");
    }
    context.out.done(&format!("{} is {}", grant.id, grant.state), grant)
}

/// Field by field; the scopes are compared as they are shown.
async fn diff(a: &str, b: &str, context: &Context) -> Result<(), Problem> {
    let first = get(a, context).await?;
    let second = get(b, context).await?;
    let columns = [("part", "part"), ("a", "a"), ("b", "b")];
    context.out.list(&differences(&first, &second), &columns)
}
