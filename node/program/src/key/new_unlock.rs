//! What unlocks the node from now on.

use std::path::{Path, PathBuf};

use concordat_cli::Context;
use concordat_documents::problem::Problem;
use concordat_keys::fs::write_private;
use concordat_keys::{Argon2Cost, KeyProvider};
use concordat_node::config::{self, Config, KeysFrom};
use concordat_node::init::{Unlock, new_provider};
use serde::Serialize;

use crate::{secrets, unlock};

/// What unlocks the node from now on; without any of these, the command prompts for a passphrase.
#[derive(Debug, clap::Args)]
pub(crate) struct NewUnlock {
    /// A file with at least 32 bytes of key
    #[arg(long, value_name = "PATH")]
    new_key_file: Option<PathBuf>,
    /// A credential of this name that systemd provides
    #[arg(long, value_name = "NAME", conflicts_with = "new_key_file")]
    new_key_credential: Option<String>,
    /// The label of a PKCS#11 token; the key is created in it if it does not exist
    #[arg(long, value_name = "LABEL", requires = "new_token_module", conflicts_with_all = ["new_key_file", "new_key_credential"])]
    new_token: Option<String>,
    /// The PKCS#11 module of that token, such as `/usr/lib/softhsm/libsofthsm2.so`
    #[arg(long, value_name = "PATH", requires = "new_token")]
    new_token_module: Option<PathBuf>,
    /// The label of the key in that token
    #[arg(long, value_name = "LABEL", default_value = unlock::TOKEN_KEY)]
    new_token_key: String,
    /// A file with the PIN of that token; without it, the node prompts for the PIN at every start
    #[arg(long, value_name = "PATH", requires = "new_token")]
    new_pin_file: Option<PathBuf>,
    /// The credential of this name, which systemd provides, is the PIN of that token
    #[arg(long, value_name = "NAME", requires = "new_token", conflicts_with = "new_pin_file")]
    new_pin_credential: Option<String>,
}

impl NewUnlock {
    pub(super) fn provider(self) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
        let unlock = if let (Some(token), Some(module)) = (self.new_token, self.new_token_module) {
            unlock::with_token(
                module,
                token,
                self.new_token_key,
                self.new_pin_file,
                self.new_pin_credential,
            )?
        } else {
            match (self.new_key_credential, self.new_key_file) {
                (Some(name), _) => Unlock::Credential(name),
                (None, Some(path)) => Unlock::KeyFile(path),
                (None, None) => Unlock::Passphrase(secrets::new_secret("passphrase that unlocks the node")?),
            }
        };
        new_provider(unlock, Argon2Cost::default())
    }
}

/// The node whose unlock secret was changed.
#[derive(Debug, Serialize)]
struct Unlocked<'a> {
    dir: &'a Path,
}

/// Writes what unlocks the node into its configuration.
pub(super) fn save_unlock_setting(mut config: Config, keys: KeysFrom, context: &Context) -> Result<(), Problem> {
    config.keys = keys;
    let path = context.dir.join(config::FILE);
    let written = write_private(&path, config.to_string().as_bytes());
    written.map_err(|error| Problem::internal(&format!("cannot write `{}`", path.display()), &error))?;
    let sentence = "the node is unlocked by the new secret from now on; the previous one no longer works";
    context.out.done(sentence, &Unlocked { dir: &context.dir })
}
