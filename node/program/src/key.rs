//! `concordat key …`: the keys that unlock the node and encrypt its data.

mod backup;
mod new_unlock;
mod recover;

use clap::Subcommand;
use concordat_cli::Context;
use concordat_documents::problem::Problem;
use concordat_node::config::Config;
use concordat_node::offline::change_unlock_secret;

use crate::unlock;
use new_unlock::{NewUnlock, save_unlock_setting};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    #[command(flatten)]
    Running(concordat_cli::KeyCommand),
    /// Write the keys of the node, encrypted to recovery keys, in case its unlock secret is lost
    Backup(backup::Args),
    /// Change what unlocks the stopped node
    ChangeUnlock(NewUnlock),
    /// Set a new unlock secret on a stopped node whose secret is lost, with the keys of a backup
    Recover {
        #[command(flatten)]
        from: recover::Args,
        #[command(flatten)]
        new: NewUnlock,
    },
}

impl KeyCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Running(command) => command.run(context).await,
            Self::Backup(args) => backup::run(args, context).await,
            Self::ChangeUnlock(new) => change_unlock(new, context).await,
            Self::Recover { from, new } => recover::run(&from, new, context).await,
        }
    }
}

/// The configuration is written after the key: if it fails in between, the error at startup names what unlocks the node.
async fn change_unlock(new: NewUnlock, context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let storage = unlock::storage(&config, &context.dir).await?;
    let (provider, keys) = new.provider()?;
    change_unlock_secret(&storage, config.node.institution.clone(), provider.as_ref())?;
    drop(storage);
    save_unlock_setting(config, keys, context)
}
