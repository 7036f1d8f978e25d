//! One use of a token: open the module, log in, find or create the key, use it, close the module.
//!
//! A module is initialized once for the whole process (PKCS #11 v3.0, section 5.4: `C_Initialize`, `C_Finalize`), so uses are
//! serialized, and each ends with the module closed: the daemon keeps no open session to the token.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::RawAuthPin,
};
use zeroize::Zeroizing;

use super::module::TrustedModule;
use crate::{
    Secret,
    token::{TokenError, TokenLocation},
};

/// Bytes of the key in the token, and of its HMAC.
const KEY_LEN: u64 = 32;

/// What may be done in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Use an existing key; nothing is created or changed.
    UseKey,
    /// Create the key if it does not exist.
    CreateKey,
}

/// HMAC-SHA256 over `message` with the key at `location`.
pub(super) fn hmac(
    location: &TokenLocation,
    pin: &Secret,
    access: Access,
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let module = Module::open(location)?;
    let result = module.slot(location).and_then(|slot| {
        let session = module.log_in(location, slot, pin, access)?;
        let key = find_or_create(&session, location, access)?;
        let code = session.sign(&Mechanism::Sha256Hmac, key, message);
        let code = Zeroizing::new(code.map_err(TokenError::failed(location, "use the key"))?);
        // Closing the session logs out as well; not every module accepts an explicit logout.
        session.logout().ok();
        Ok(code)
    });
    module.close();
    let code = result?;
    if code.len() as u64 == KEY_LEN {
        Ok(code)
    } else {
        Err(TokenError::WrongLength {
            token: location.token.clone(),
            bytes: code.len(),
        })
    }
}

/// The module, open for one use.
struct Module {
    library: Pkcs11,
    /// Whether it was initialized here; a program that embeds this one may have initialized it already.
    initialized_here: bool,
    _in_use: MutexGuard<'static, ()>,
}

/// Held while a module is in use.
static MODULE_IN_USE: Mutex<()> = Mutex::new(());

impl Module {
    fn open(location: &TokenLocation) -> Result<Self, TokenError> {
        let in_use = MODULE_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let module = || location.module.clone();
        let trusted = TrustedModule::check(&location.module)?;
        let unusable = |source| TokenError::UnusableModule {
            module: module(),
            source,
        };
        let library = Pkcs11::new(trusted.path()).map_err(unusable)?;
        let initialized_here = match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => true,
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => false,
            Err(source) => return Err(unusable(source)),
        };
        Ok(Self {
            library,
            initialized_here,
            _in_use: in_use,
        })
    }

    /// The slot of the one token with the label.
    fn slot(&self, location: &TokenLocation) -> Result<Slot, TokenError> {
        let failed = TokenError::failed(location, "look for the token");
        let slots = self.library.get_slots_with_token().map_err(&failed)?;
        let mut found = Vec::new();
        let mut labels = Vec::new();
        for slot in slots {
            // The token may have been removed in the meantime.
            let Ok(info) = self.library.get_token_info(slot) else {
                continue;
            };
            match info.label().trim_end() {
                label if label == location.token => found.push(slot),
                "" => {}
                other => labels.push(other.to_owned()),
            }
        }
        match found.as_slice() {
            [slot] => Ok(*slot),
            [] => Err(TokenError::NoToken {
                token: location.token.clone(),
                module: location.module.clone(),
                others: labels,
            }),
            [_, _, ..] => Err(TokenError::SeveralTokens {
                token: location.token.clone(),
            }),
        }
    }

    /// Opens a session and logs in as the user with this PIN.
    fn log_in(
        &self,
        location: &TokenLocation,
        slot: Slot,
        pin: &Secret,
        access: Access,
    ) -> Result<Session, TokenError> {
        let session = match access {
            Access::UseKey => self.library.open_ro_session(slot),
            Access::CreateKey => self.library.open_rw_session(slot),
        };
        let session = session.map_err(TokenError::failed(location, "open a session"))?;
        let pin = RawAuthPin::new(Box::new(pin.expose().to_vec()));
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(TokenError::of_login(location, error, self.is_last_try(slot))),
        }
    }

    /// Whether the token reports that it locks itself after one more wrong PIN.
    fn is_last_try(&self, slot: Slot) -> bool {
        let info = self.library.get_token_info(slot);
        info.is_ok_and(|info| info.user_pin_final_try())
    }

    fn close(self) {
        if self.initialized_here
            && let Err(error) = self.library.finalize()
        {
            tracing::warn!(%error, "the PKCS#11 module could not be closed");
        }
    }
}

fn find_or_create(session: &Session, location: &TokenLocation, access: Access) -> Result<ObjectHandle, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Label(location.key.as_bytes().to_vec()),
        Attribute::Token(true),
    ];
    let found = session.find_objects(&template);
    let found = found.map_err(TokenError::failed(location, "look for the key"))?;
    match found.as_slice() {
        [key] => check_not_exportable(session, location, *key).map(|()| *key),
        [] if access == Access::CreateKey => create(session, location),
        [] => Err(TokenError::NoKey {
            token: location.token.clone(),
            key: location.key.clone(),
        }),
        [_, _, ..] => Err(TokenError::SeveralKeys {
            token: location.token.clone(),
            key: location.key.clone(),
        }),
    }
}

/// Rejects a key that can be exported from the token (PKCS #11 v3.0, section 4.10: `CKA_SENSITIVE`, `CKA_EXTRACTABLE`).
fn check_not_exportable(session: &Session, location: &TokenLocation, key: ObjectHandle) -> Result<(), TokenError> {
    let requested = [AttributeType::Sensitive, AttributeType::Extractable];
    let attributes = session.get_attributes(key, &requested);
    let attributes = attributes.map_err(TokenError::failed(location, "inspect the key"))?;
    if attributes.contains(&Attribute::Sensitive(true)) && attributes.contains(&Attribute::Extractable(false)) {
        Ok(())
    } else {
        Err(TokenError::ExportableKey {
            token: location.token.clone(),
            key: location.key.clone(),
        })
    }
}

fn create(session: &Session, location: &TokenLocation) -> Result<ObjectHandle, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Label(location.key.as_bytes().to_vec()),
        Attribute::ValueLen(KEY_LEN.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let created = session.generate_key(&Mechanism::GenericSecretKeyGen, &template);
    let created = created.map_err(TokenError::failed(location, "create a key"))?;
    tracing::info!(token = %location.token, key = %location.key, "a key was created in the token");
    Ok(created)
}

/// Access to a token for the tests, apart from the provider.
#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;

    fn with_session<T>(module: &Path, work: impl FnOnce(&Session) -> T) -> T {
        let location = TokenLocation {
            module: module.to_owned(),
            token: "vault".into(),
            key: String::new(),
        };
        let module = Module::open(&location).unwrap();
        let slot = module.slot(&location).unwrap();
        let pin = Secret::from("135790".to_owned());
        let session = module.log_in(&location, slot, &pin, Access::CreateKey).unwrap();
        let result = work(&session);
        drop(session);
        module.close();
        result
    }

    /// Creates a key with some attributes replaced.
    pub(in super::super) fn create_key(module: &Path, label: &str, replacements: &[Attribute]) {
        let template = [
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::ValueLen(KEY_LEN.into()),
            Attribute::Token(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let defaults = template.into_iter().filter(|one| {
            !replacements
                .iter()
                .any(|other| other.attribute_type() == one.attribute_type())
        });
        let template: Vec<Attribute> = defaults.chain(replacements.iter().cloned()).collect();
        with_session(module, |session| {
            session
                .generate_key(&Mechanism::GenericSecretKeyGen, &template)
                .unwrap();
        });
    }

    /// The attributes of a key that the token returns.
    pub(in super::super) fn attributes(module: &Path, label: &str) -> Vec<Attribute> {
        let requested = [
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Private,
            AttributeType::Value,
        ];
        with_session(module, |session| {
            let key = session
                .find_objects(&[Attribute::Label(label.as_bytes().to_vec())])
                .unwrap();
            session.get_attributes(key[0], &requested).unwrap()
        })
    }
}
