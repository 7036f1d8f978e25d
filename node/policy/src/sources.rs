//! From the sources of a policy set, as a steward writes them, to a compiled one.

use std::collections::BTreeSet;

use concordat_protocol::ids::Digest32;
use concordat_protocol::policy_set::{PolicyFile, PolicySources, Settings};

use crate::load::{self, Policy, PolicyErrors};

/// Most files of a set.
const MAX_FILES: usize = 64;
/// Most bytes of all files of a set together: 512 KiB.
const MAX_BYTES: usize = 512 * 1024;
/// Longest name of a file.
const MAX_NAME: usize = 64;

/// The set that is shipped with the program.
pub fn shipped_sources() -> PolicySources {
    PolicySources {
        files: vec![PolicyFile {
            name: "default.cedar".to_owned(),
            text: load::DEFAULT.to_owned(),
        }],
        settings: Settings::default(),
    }
}

impl Policy {
    /// Parses the rules of a set and validates them against the schema.
    ///
    /// # Errors
    /// Everything that is wrong with its form, at once; if nothing is, everything that is wrong with its rules.
    pub fn compile(sources: &PolicySources) -> Result<Self, PolicyErrors> {
        let errors = form_errors(&sources.files);
        if !errors.is_empty() {
            return Err(PolicyErrors::new(errors));
        }
        let files: Vec<(String, String)> = sources
            .files
            .iter()
            .map(|file| (file.name.clone(), file.text.clone()))
            .collect();
        Self::from_sources(&files, sources.settings)
    }
}

fn form_errors(files: &[PolicyFile]) -> Vec<String> {
    let mut errors = Vec::new();
    if files.is_empty() || files.len() > MAX_FILES {
        errors.push(format!("a policy set has 1 to {MAX_FILES} files, not {}", files.len()));
    }
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if bytes > MAX_BYTES {
        errors.push(format!(
            "the files have {bytes} bytes in total, and {MAX_BYTES} are allowed"
        ));
    }
    let mut names = BTreeSet::new();
    for PolicyFile { name, .. } in files {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if name.is_empty() || name.len() > MAX_NAME || !plain {
            errors.push(format!(
                "`{}` is not a valid file name; use up to {MAX_NAME} of `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`",
                name.escape_debug()
            ));
        }
        if !names.insert(name) {
            errors.push(format!("there are two files `{}`", name.escape_debug()));
        }
    }
    errors
}

/// The digest of the program's schema.
pub fn schema_digest() -> Digest32 {
    Digest32::sha256("concordat/policy-schema/1", load::SCHEMA.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_set_with_errors_of_form_is_not_parsed() {
        let unreadable = |name: &str| PolicyFile {
            name: name.to_owned(),
            text: "permit (((".to_owned(),
        };
        let errors = |files| {
            let settings = Settings::default();
            let refused = Policy::compile(&PolicySources { files, settings }).unwrap_err();
            refused.iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let twice = errors(vec![unreadable("a b.cedar"), unreadable("a b.cedar")]);
        assert_eq!(twice.len(), 3, "{twice:?}");
        assert!(twice.iter().all(|error| error.contains("a b.cedar")), "{twice:?}");
        let long = PolicyFile {
            text: " ".repeat(MAX_BYTES + 1),
            ..unreadable("a.cedar")
        };
        let long = errors(vec![long, unreadable("b.cedar")]);
        assert_eq!(long.len(), 1, "{long:?}");
    }
}
