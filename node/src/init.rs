//! Creates the data directory of a new node.
//!
//! 1. Everything is created in a temporary folder beside the target (inside it if the target exists and is empty, like a mounted
//!    volume), so that a failure leaves no files behind.
//! 2. Master key, institution key and node key are created and sealed; the ledger begins with the identity of the node.
//! 3. The first account is created. It has every role, because in a new institution one person has to start; `concordat user role`
//!    assigns the roles to others.
//! 4. The folder is moved to the target, `concordat.toml` last: a directory that contains that file contains a complete node.

mod restore;
mod site;

use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_protocol::{
    audit::EntryBody,
    identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey},
    ids::{ActorId, NodeId},
    query::Role,
    text::Label,
    time::Timestamp,
};
use concordat_storage::{
    data_dir::Storage,
    fs::write_private,
    keys::{Argon2Cost, KeyFile, KeyProvider, Passphrase, Secret, TokenKey, TokenLocation},
};
use data_encoding::{BASE32_NOPAD, BASE64};
use zeroize::Zeroizing;

use crate::{
    attribution::by_this_account,
    config::{self, Config, KeysFrom, PinFrom},
    iam::Accounts,
    policies,
    start_state::StartState,
};
pub use restore::{
    Hints, OperatorSettings, RestorePlan, RestoredNode, SnapshotSettings, restore, settings_of_snapshot,
};
use site::Site;

/// Name of the first account.
pub const FIRST_ACCOUNT: &str = "administrator";
/// Name of the key file that is created if no secret is given.
pub const MADE_KEY_FILE: &str = "unlock.key";
/// Name of the file with the first password if none is given.
pub const MADE_PASSWORD_FILE: &str = "administrator.password";

/// What unlocks the new node.
#[derive(Debug)]
pub enum Unlock {
    /// A passphrase that a person types at every start.
    Passphrase(Secret),
    /// A key file that exists.
    KeyFile(PathBuf),
    /// A key file that the service manager provides under this name.
    Credential(String),
    /// A key in a PKCS#11 token, which is created there if necessary.
    Token {
        /// Which key.
        location: TokenLocation,
        /// Where the PIN comes from at the next start.
        pin_from: PinFrom,
        /// The PIN.
        pin: Secret,
    },
    /// A key file to be created in the data directory.
    MakeKeyFile,
}

/// What to create.
#[derive(Debug)]
pub struct Plan {
    /// The data directory.
    pub dir: PathBuf,
    /// The configuration to write; its `[keys]` section follows from `unlock`.
    pub config: Config,
    /// What unlocks it.
    pub unlock: Unlock,
    /// Password of the first account; if `None`, one is generated and written to a file.
    pub password: Option<Secret>,
    /// The Argon2 cost of passphrase and password.
    pub cost: Argon2Cost,
}

/// What was created.
#[derive(Debug, Clone)]
pub struct Created {
    /// The node's id.
    pub node: NodeId,
    /// The institution's key.
    pub institution_key: InstitutionPublicKey,
    /// The key file, if one was created.
    pub made_key_file: Option<PathBuf>,
    /// The file with the generated password, if one was generated.
    pub made_password_file: Option<PathBuf>,
}

/// Creates a node. Blocks; hashing passphrase and password takes time.
///
/// # Errors
/// If the directory is not empty, a secret is too weak or writing fails; nothing is left behind then, except a key that
/// was created in a token.
pub fn init(plan: Plan, now: Timestamp) -> Result<Created, Problem> {
    let site = Site::prepare(&plan.dir)?;
    let at = site.path().to_owned();
    let Plan {
        dir,
        mut config,
        unlock,
        password,
        cost,
    } = plan;
    let made_key_file = matches!(unlock, Unlock::MakeKeyFile).then(|| dir.join(MADE_KEY_FILE));
    let (provider, keys) = key_provider(unlock, &at, cost)?;
    config.keys = keys;
    let (password, made_password_file) = match password {
        Some(password) => (password, None),
        None => (make_password(&at)?, Some(dir.join(MADE_PASSWORD_FILE))),
    };
    let (institution_key, node) = {
        let storage = Storage::init(&at, provider.as_ref())?;
        let keys = make_keys(&storage, &at)?;
        begin_ledger(&storage, &config, &keys, &password, cost, now)?;
        (keys.0.public(), keys.1.public())
    };
    write(&at.join(config::FILE), config.to_string().as_bytes())?;
    site.move_to_target()?;
    Ok(Created {
        node,
        institution_key,
        made_key_file,
        made_password_file,
    })
}

/// The key provider for a given secret, and the matching `[keys]` section. A new passphrase uses `cost`.
///
/// # Errors
/// If the service manager does not provide the credential, or no secret was given.
pub fn provider_from_secret(unlock: Unlock, cost: Argon2Cost) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
    match unlock {
        Unlock::MakeKeyFile => Err(Problem::usage("an existing key file is required")),
        Unlock::Passphrase(_) | Unlock::KeyFile(_) | Unlock::Credential(_) | Unlock::Token { .. } => {
            key_provider(unlock, Path::new(""), cost)
        }
    }
}

/// A key file in the data directory is named by its file name, so that the directory can be moved.
fn key_provider(unlock: Unlock, at: &Path, cost: Argon2Cost) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
    match unlock {
        Unlock::Passphrase(secret) => Ok((Box::new(Passphrase::new(secret, cost)), KeysFrom::Passphrase)),
        Unlock::KeyFile(path) => {
            let path = std::path::absolute(&path).unwrap_or(path);
            Ok((Box::new(KeyFile::new(path.clone())), KeysFrom::File(path)))
        }
        Unlock::Credential(name) => Ok((
            Box::new(KeyFile::new(config::credential(&name)?)),
            KeysFrom::Credential(name),
        )),
        Unlock::Token {
            location,
            pin_from,
            pin,
        } => {
            let keys = KeysFrom::Token {
                location: location.clone(),
                pin: pin_from,
            };
            Ok((Box::new(TokenKey::new(location, pin)), keys))
        }
        Unlock::MakeKeyFile => {
            let path = at.join(MADE_KEY_FILE);
            let key = Zeroizing::new(BASE64.encode(&random::<32>()?[..]));
            write(&path, format!("{}\n", key.as_str()).as_bytes())?;
            let keys = KeysFrom::File(PathBuf::from(MADE_KEY_FILE));
            Ok((Box::new(KeyFile::new(path)), keys))
        }
    }
}

/// 160 random bits in base 32, which can be read aloud and typed.
fn make_password(at: &Path) -> Result<Secret, Problem> {
    let password = Zeroizing::new(BASE32_NOPAD.encode(&random::<20>()?[..]).to_lowercase());
    write(
        &at.join(MADE_PASSWORD_FILE),
        format!("{}\n", password.as_str()).as_bytes(),
    )?;
    Ok(Secret::from(password.as_bytes().to_vec()))
}

/// Creates and seals both keys and writes their public halves.
fn make_keys(storage: &Storage, at: &Path) -> Result<(InstitutionKey, NodeKey), Problem> {
    let institution = InstitutionKey::from_seed(&random()?);
    let node = NodeKey::from_seed(&random()?);
    storage.identities().put_institution(&institution)?;
    storage.identities().put_node(&node)?;
    let folder = at.join("identity");
    write(
        &folder.join("institution.pub"),
        format!("{}\n", institution.public()).as_bytes(),
    )?;
    write(&folder.join("node.pub"), format!("{}\n", node.public()).as_bytes())?;
    Ok((institution, node))
}

/// Writes the first entries of the ledger, each before the object that it records is created.
fn begin_ledger(
    storage: &Storage,
    config: &Config,
    (institution_key, node_key): &(InstitutionKey, NodeKey),
    password: &Secret,
    cost: Argon2Cost,
    now: Timestamp,
) -> Result<(), Problem> {
    let institution = config.node.institution.clone();
    let ledger = storage.open_ledger(institution.clone())?;
    let initialized = EntryBody::NodeInitialized {
        institution: institution.clone(),
        node: node_key.public(),
        key: institution_key.public(),
    };
    let by = by_this_account();
    drop(ledger.append(initialized, &by, now)?);
    StartState::open(storage.meta())?.accept_configuration(config, &ledger, &by, now)?;
    policies::begin(storage.meta(), &ledger, (&institution, institution_key, now), &by)?;
    let roles = Role::ALL.map(|role| Label::sanitized(role.as_str())).to_vec();
    let actor = ActorId::at(FIRST_ACCOUNT, &institution)?;
    drop(ledger.append(EntryBody::UserAdded { actor, roles }, &by, now)?);
    let accounts = Accounts::open(storage.meta(), institution, cost)?;
    accounts.add(FIRST_ACCOUNT, Role::ALL.into_iter().collect(), password, now)?;
    ledger.checkpoint(institution_key, now)?;
    Ok(())
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Problem> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Problem::internal("the system's random number generator failed", &error))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    write_private(path, bytes).map_err(|error| Problem::internal(&format!("cannot write `{}`", path.display()), &error))
}

#[cfg(test)]
mod tests;
