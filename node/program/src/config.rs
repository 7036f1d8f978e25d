//! `concordat config …`: the configuration that was accepted, and a changed one to be accepted.
//!
//! Both commands work on the data directory of a stopped node: a configuration takes effect at startup.

use clap::Subcommand;
use concordat_cli::Context;
use concordat_cli::output::Column;
use concordat_documents::problem::Problem;
use concordat_node::config::Config;
use concordat_node::offline::StoppedNode;
use concordat_protocol::ids::Digest32;
use serde::Serialize;

use crate::{secrets, unlock};

const COLUMNS: [Column; 3] = [("setting", "key"), ("accepted", "accepted"), ("found", "found")];

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Where concordat.toml differs from what was accepted
    Diff,
    /// Accept concordat.toml as it is now; prompts for your password
    Accept {
        /// Your account, with the role administrator or security officer
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Accept only if the settings have this digest
        #[arg(long, value_name = "DIGEST")]
        expect: Option<Digest32>,
    },
}

impl ConfigCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        let config = Config::load(&context.dir)?;
        let storage = unlock::storage(&config, &context.dir).await?;
        let node = StoppedNode::open(config, storage)?;
        let differences = node.differences()?;
        match self {
            Self::Diff => context.out.list(&differences, &COLUMNS),
            Self::Accept { name, expect } => {
                if differences.is_empty() {
                    return context.out.done(
                        "the configuration is the one that was accepted",
                        &Accepted { accepted: None },
                    );
                }
                for difference in &differences {
                    context.out.note(&difference.to_string());
                }
                let password = secrets::secret(&format!("password of {name}"))?;
                let digest = node.accept_configuration(name, password, expect).await?;
                let sentence = format!("accepted the configuration {digest}");
                let accepted = Some(digest);
                context.out.done(&sentence, &Accepted { accepted })
            }
        }
    }
}

/// The digest of the configuration that was accepted, for programs; `None` if it was accepted before.
#[derive(Serialize)]
struct Accepted {
    accepted: Option<Digest32>,
}
