//! `concordat grant …`

mod datasets;
mod several;
mod shown;
mod terms;

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use concordat_documents::Empty;
use concordat_documents::grant::{Grant, GrantChange, GrantPage, GrantState, GrantSummary, Transcript};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::grant::Party;
use concordat_protocol::text::Reason;
use serde::Serialize;

use self::several::Outcomes;
pub(crate) use self::shown::ShownGrant;
use self::shown::differences;
use self::terms::{IdArgs, OfferArgs, RequestArgs};
use crate::context::Context;
use crate::output::Format;
use concordat_client::segment;

/// Negotiations and the grants that result from them.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Request access from another institution: `grant request budapest/heart --purpose health-research --until 2027-06-30`
    Request(RequestArgs),
    /// List negotiations and grants
    List {
        /// Also those that have ended: rejected, revoked, relinquished or expired
        #[arg(long)]
        all: bool,
    },
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
    /// Accept an offer, or several
    Accept(IdArgs),
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
        GrantCommand::List { all } => list(all, context).await,
        GrantCommand::Show { id } => show(&id, context).await,
        GrantCommand::Transcript { id } => transcript(&id, context).await,
        GrantCommand::Offer(args) => {
            let terms = args.terms.terms(context)?;
            negotiate(args.negotiations, &OFFER, &terms, context).await
        }
        GrantCommand::Accept(args) => negotiate(args, &ACCEPT, &Empty {}, context).await,
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
    const PATH: &str = "/v1/grants/request";
    let requests = args.requests(context)?;
    let client = context.client()?;
    if let [target] = requests.targets.as_slice() {
        let grant: Grant = client.post(PATH, &requests.of(target)).await?;
        let sentence = format!("request sent to `{}`; the negotiation is {}", grant.peer, grant.id);
        return context.out.done(&sentence, &grant);
    }
    let mut outcomes = Outcomes::default();
    for target in &requests.targets {
        let sent: Result<Grant, Problem> = client.post(PATH, &requests.of(target)).await;
        match sent {
            Ok(grant) => outcomes.done(&grant),
            Err(problem) => outcomes.failed(Some(target.to_string()), None, problem),
        }
    }
    outcomes.conclude("requests", context)
}

/// A step that a person takes in a negotiation.
struct Step {
    verb: &'static str,
    /// Those who take it, and the state of the negotiations that wait for it.
    side: Party,
    waiting: GrantState,
    plural: &'static str,
}

const OFFER: Step = Step {
    verb: "offer",
    side: Party::Provider,
    waiting: GrantState::Requested,
    plural: "offers",
};
const ACCEPT: Step = Step {
    verb: "accept",
    side: Party::Consumer,
    waiting: GrantState::Offered,
    plural: "acceptances",
};

/// Takes a step in one negotiation, or the same in each of several.
async fn negotiate(args: IdArgs, of: &Step, body: &impl Serialize, context: &Context) -> Result<(), Problem> {
    if let ([id], None) = (args.ids.as_slice(), &args.all_from) {
        let grant = step(id, of.verb, body, context).await?;
        note_key(&grant, context);
        return conclude(&grant, context);
    }
    let mut outcomes = Outcomes::default();
    let mut keys = BTreeSet::new();
    for (id, dataset) in waiting(args, of, context).await? {
        match step(&id, of.verb, body, context).await {
            Ok(grant) => {
                if keys.insert(grant.peer_fingerprint.clone()) {
                    note_key(&grant, context);
                }
                outcomes.done(&grant);
            }
            Err(problem) => outcomes.failed(dataset, Some(id), problem),
        }
    }
    outcomes.conclude(of.plural, context)
}

/// The negotiations that are named, or those with an institution that wait for a step; with their datasets, if they are known.
async fn waiting(args: IdArgs, of: &Step, context: &Context) -> Result<Vec<(String, Option<String>)>, Problem> {
    let Some(institution) = args.all_from else {
        return Ok(args.ids.into_iter().map(|id| (id, None)).collect());
    };
    let Listed { grants, .. } = listed(false, context).await?;
    let is_of_step = |grant: &&GrantSummary| grant.side == of.side && grant.state == of.waiting;
    let of_institution = grants.iter().filter(|grant| grant.peer == institution);
    let found: Vec<(String, Option<String>)> = of_institution
        .filter(is_of_step)
        .map(|grant| {
            let dataset = format!("{}.{}", grant.provider, grant.dataset);
            (grant.id.to_string(), Some(dataset))
        })
        .collect();
    if found.is_empty() {
        let (state, verb) = (of.waiting, of.verb);
        let detail = format!("no negotiation with `{institution}` is {state}, which `{verb}` needs");
        return Err(Problem::new(ErrorKind::NotFound, detail).help("`concordat grant list` lists all"));
    }
    Ok(found)
}

/// The negotiations and grants of all pages.
#[derive(Default)]
struct Listed {
    grants: Vec<GrantSummary>,
    /// How many have ended and are left out.
    ended: u64,
}

async fn listed(all: bool, context: &Context) -> Result<Listed, Problem> {
    let client = context.client()?;
    let mut listed = Listed::default();
    let mut after = String::new();
    loop {
        let page: GrantPage = client.get(&format!("/v1/grants?all={all}{after}")).await?;
        listed.grants.extend(page.items);
        listed.ended = listed.ended.saturating_add(page.ended);
        match page.next {
            Some(next) => after = format!("&after={}", segment(&next)),
            None => return Ok(listed),
        }
    }
}

async fn list(all: bool, context: &Context) -> Result<(), Problem> {
    let Listed { grants, ended } = listed(all, context).await?;
    if ended > 0 {
        let note = format!("{ended} that have ended are not listed; `concordat grant list --all` lists them");
        context.out.note(&note);
    }
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
