//! `concordat consortium ledger …`

use clap::Subcommand;
use concordat_documents::consortium::{
    LedgerConflicts, LedgerGeneration, OwnLedgerHead, PeerLedgerConflict, PeerLedgerHead,
};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::InstitutionId;

use crate::context::Context;
use crate::output::{Column, Format};

const PATH: &str = "/v1/consortium/ledgers";

const COLUMNS: [Column; 7] = [
    ("institution", "institution"),
    ("node", "node"),
    ("head", "head"),
    ("known", "known_entries"),
    ("presented", "shown_entries"),
    ("at", "at"),
    ("reason", "reason"),
];

/// Ledgers that contradict what their nodes have signed.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// List them, with each head
    List,
    /// Continue with a member whose ledger is not the one known before; the given head is the base from now on
    Acknowledge {
        /// Its short id
        institution: InstitutionId,
        /// The head that it presented, as `list` shows its root; its later heads must extend it
        #[arg(long)]
        head: String,
    },
    /// Continue with this node although it is a copy or an older copy of itself, after an intended restore and once no other copy runs
    AcknowledgeOwn {
        /// What peers have shown, as `list` and `status` print it: the signed head that the ledger does not extend, or the signed statement
        /// of another start
        #[arg(long, visible_alias = "start")]
        head: String,
    },
}

/// Runs the command.
///
/// # Errors
/// The problem that the node returned.
pub(super) async fn run(command: LedgerCommand, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match command {
        LedgerCommand::List => list(&client.get(PATH).await?, context),
        LedgerCommand::Acknowledge { institution, head } => {
            let shown = PeerLedgerHead { institution, head };
            let done: PeerLedgerConflict = client.post(&format!("{PATH}/acknowledge"), &shown).await?;
            let sentence = format!(
                "the {} entries that a node of `{}` presented, root {}, are the base from now on",
                done.shown_entries, shown.institution, done.head
            );
            context.out.done(&sentence, &done)
        }
        LedgerCommand::AcknowledgeOwn { head } => {
            let path = format!("{PATH}/acknowledge-own");
            let done: LedgerGeneration = client.post(&path, &OwnLedgerHead { head }).await?;
            let sentence = "this node goes on, and no other copy of it is served from now on; if its ledger is an older one, each other member \
                            must acknowledge that, too";
            context.out.done(sentence, &done)
        }
    }
}

fn list(ledgers: &LedgerConflicts, context: &Context) -> Result<(), Problem> {
    if context.out.format() == Format::Json {
        return context.out.record(ledgers);
    }
    if let Some(own) = &ledgers.own {
        context.out.note(&format!(
            "this node has signed {} entries that its ledger does not extend, head {}",
            own.signed_entries, own.head
        ));
    }
    if let Some(own) = &ledgers.own_start {
        context.out.note(&format!(
            "this node is a copy: this is start {}, and node {} has shown start {}, statement {}",
            own.present, own.shown_by, own.other, own.statement
        ));
    }
    for refused in &ledgers.refused_starts {
        context.out.note(&format!(
            "node {} of `{}` was refused at {}: {}",
            refused.node, refused.institution, refused.at, refused.reason
        ));
    }
    context.out.list(&ledgers.items, &COLUMNS)
}
