//! Sets up the data directory of a new node.
//!
//! 1. Everything is made in a folder beside its place (inside it where the place exists and is empty, as a mounted volume
//!    does), so that a failure leaves nothing behind.
//! 2. Master key, institution key and node key are made and sealed; the ledger begins with who this is.
//! 3. The first account is made. It holds every role, because in a new house one person has to begin; `concordat user role`
//!    hands the duties out.
//! 4. The folder moves into place, `concordat.toml` last: where that file is, there is a whole node.

mod restore;
mod site;

use std::path::{Path, PathBuf};

use concordat_protocol::{
    audit::EntryBody,
    identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey},
    ids::{ActorId, NodeId},
    query::Role,
    text::Word,
    time::Timestamp,
};
use concordat_storage::{
    data_dir::Storage,
    fs::write_private,
    keys::{Argon2Cost, KeyFile, KeyProvider, Passphrase, Secret, TokenKey, TokenPlace},
};
use data_encoding::{BASE32_NOPAD, BASE64};
use zeroize::Zeroizing;

use crate::{
    attribution::by_this_account,
    config::{self, Config, KeysFrom, PinFrom},
    fault::Problem,
    iam::Accounts,
    policy,
    start_state::StartState,
};
pub use restore::{Given, Hints, RestorePlan, RestoredNode, Taken, restore, taken_over};
use site::Site;

/// Name of the first account.
pub const FIRST_ACCOUNT: &str = "administrator";
/// Name of the key file that is made where nobody gives a secret.
pub const MADE_KEY_FILE: &str = "unlock.key";
/// Name of the file with the first password where nobody gives one.
pub const MADE_PASSWORD_FILE: &str = "administrator.password";

/// What unlocks the new node.
#[derive(Debug)]
pub enum Unlock {
    /// A passphrase that a person types at every start.
    Passphrase(Secret),
    /// A key file that exists.
    KeyFile(PathBuf),
    /// A key file that the service manager hands over under this name.
    Credential(String),
    /// A key in a PKCS#11 token, which is made there if need be.
    Token {
        /// Which key.
        place: TokenPlace,
        /// Where the PIN comes from at the next start.
        pin_from: PinFrom,
        /// The PIN.
        pin: Secret,
    },
    /// A key file to be made in the data directory.
    MakeKeyFile,
}

/// What is to be set up.
#[derive(Debug)]
pub struct Plan {
    /// The data directory.
    pub dir: PathBuf,
    /// The configuration to write; its `[keys]` follow from `unlock`.
    pub config: Config,
    /// What unlocks it.
    pub unlock: Unlock,
    /// Password of the first account; one is made and written to a file if there is none.
    pub password: Option<Secret>,
    /// What passphrase and password cost to check.
    pub cost: Argon2Cost,
}

/// What was set up.
#[derive(Debug, Clone)]
pub struct Created {
    /// The node's id.
    pub node: NodeId,
    /// The institution's key.
    pub institution_key: InstitutionPublicKey,
    /// The key file that was made.
    pub made_key_file: Option<PathBuf>,
    /// The file with the password that was made.
    pub made_password_file: Option<PathBuf>,
}

/// Sets up a node. Blocks; passphrase and password cost time.
///
/// # Errors
/// If something is in the way, a secret is not good enough or the disk refuses; nothing is left behind then, but for a key that
/// was made in a token.
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
    site.move_into_place()?;
    Ok(Created {
        node,
        institution_key,
        made_key_file,
        made_password_file,
    })
}

/// What unlocks a node with a secret that somebody gave, and how the configuration says so. A new passphrase is to cost `cost`.
///
/// # Errors
/// If the service manager hands over no credential, or no secret was given at all.
pub fn given_provider(unlock: Unlock, cost: Argon2Cost) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
    match unlock {
        Unlock::MakeKeyFile => Err(Problem::usage("a key file that exists is needed here")),
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
            let whole = std::path::absolute(&path).unwrap_or(path);
            Ok((Box::new(KeyFile::new(whole.clone())), KeysFrom::File(whole)))
        }
        Unlock::Credential(name) => Ok((
            Box::new(KeyFile::new(config::credential(&name)?)),
            KeysFrom::Credential(name),
        )),
        Unlock::Token { place, pin_from, pin } => {
            let keys = KeysFrom::Token {
                place: place.clone(),
                pin: pin_from,
            };
            Ok((Box::new(TokenKey::new(place, pin)), keys))
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

/// 160 random bits in base 32, which can be read out and typed.
fn make_password(at: &Path) -> Result<Secret, Problem> {
    let password = Zeroizing::new(BASE32_NOPAD.encode(&random::<20>()?[..]).to_lowercase());
    write(
        &at.join(MADE_PASSWORD_FILE),
        format!("{}\n", password.as_str()).as_bytes(),
    )?;
    Ok(Secret::from(password.as_bytes().to_vec()))
}

/// Makes and seals both keys and writes their public halves.
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

/// The first entries of the ledger, each before what it stands for is made.
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
    let initialised = EntryBody::NodeInitialised {
        institution: institution.clone(),
        node: node_key.public(),
        key: institution_key.public(),
    };
    let by = by_this_account();
    drop(ledger.append(initialised, &by, now)?);
    StartState::open(storage.meta())?.accept_configuration(config, &ledger, &by, now)?;
    policy::begin(storage.meta(), &ledger, (&institution, institution_key, now), &by)?;
    let roles = Role::ALL.map(|role| Word::fitted(role.as_str())).to_vec();
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
        .map_err(|error| Problem::fault("the machine gives no random numbers", &error))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    write_private(path, bytes).map_err(|error| Problem::fault(&format!("cannot write `{}`", path.display()), &error))
}

#[cfg(test)]
mod tests;
