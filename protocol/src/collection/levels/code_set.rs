//! Sets of codes of an open list: codes, prefixes, and what is left.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::lists;
use super::contents::Datum;
use crate::scope::{Kind, Value};

/// Most codes and most prefixes of a set.
pub const MAX_CODES: usize = 16_384;
/// Longest text of a code, prefix or listed value, in bytes.
pub const MAX_TEXT: usize = 256;

/// What codes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeKind {
    /// Whole numbers.
    Int,
    /// Texts.
    Text,
}

impl CodeKind {
    pub(in crate::collection) const fn kind(self) -> Kind {
        match self {
            Self::Int => Kind::Int,
            Self::Text => Kind::Text,
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Int => "whole numbers",
            Self::Text => "texts",
        }
    }
}

/// A set of codes. A code is in it if an odd number of these are true: all codes are (`rest`); it has one of the prefixes, each of
/// them counted; it is one of the codes. Each set has exactly one such form, because the members of these families are linearly
/// independent over the field of two elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCodeSet")]
pub struct CodeSet {
    kind: CodeKind,
    rest: bool,
    prefixes: BTreeSet<String>,
    codes: BTreeSet<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCodeSet {
    kind: CodeKind,
    rest: bool,
    #[serde(deserialize_with = "lists::set::<_, _, MAX_CODES>")]
    prefixes: BTreeSet<String>,
    #[serde(deserialize_with = "lists::set::<_, _, MAX_CODES>")]
    codes: BTreeSet<Value>,
}

/// A code or prefix of another kind, too many of them, or a text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a set of codes has a code of another kind, more than {MAX_CODES} of them, or a text of more than {MAX_TEXT} bytes"
)]
pub struct InvalidCodes;

impl CodeSet {
    /// The empty set.
    pub(super) const fn none(kind: CodeKind) -> Self {
        Self {
            kind,
            rest: false,
            prefixes: BTreeSet::new(),
            codes: BTreeSet::new(),
        }
    }

    /// The set of all codes.
    pub(super) fn all(kind: CodeKind) -> Self {
        Self {
            rest: true,
            ..Self::none(kind)
        }
    }

    /// The set of these codes.
    pub(super) fn of(kind: CodeKind, codes: impl IntoIterator<Item = Value>) -> Result<Self, InvalidCodes> {
        let codes = codes.into_iter().collect();
        Self {
            codes,
            ..Self::none(kind)
        }
        .bounded()
    }

    /// The set of all codes that begin with `prefix`.
    pub(super) fn with_prefix(prefix: &str) -> Result<Self, InvalidCodes> {
        if prefix.is_empty() {
            return Ok(Self::all(CodeKind::Text));
        }
        Self {
            prefixes: BTreeSet::from([prefix.to_owned()]),
            ..Self::none(CodeKind::Text)
        }
        .bounded()
    }

    /// What the codes are.
    pub const fn kind(&self) -> CodeKind {
        self.kind
    }

    /// Whether codes that neither are listed nor have a listed prefix are in the set.
    pub const fn has_rest(&self) -> bool {
        self.rest
    }

    /// The prefixes, each with whether most codes that begin with it are in the set.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, bool)> {
        self.prefixes.iter().map(|prefix| (prefix.as_str(), self.under(prefix)))
    }

    /// The codes that are listed one by one, each with whether it is in the set.
    pub fn codes(&self) -> impl Iterator<Item = (&Value, bool)> {
        self.codes.iter().map(|code| (code, self.contains(code)))
    }

    /// Whether `code` is in the set.
    pub fn contains(&self, code: &Value) -> bool {
        code.kind() == self.kind.kind() && (self.around(code) ^ self.codes.contains(code))
    }

    /// Whether the set has no code at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::none(self.kind)
    }

    /// The set of all other codes.
    pub(super) fn complement(&self) -> Self {
        Self {
            rest: !self.rest,
            ..self.clone()
        }
    }

    /// The codes for which `both` is true of being in this set and in the other one. `None` for sets of different kinds, and for one
    /// with too many codes.
    pub(super) fn combine(&self, other: &Self, both: fn(bool, bool) -> bool) -> Option<Self> {
        if self.kind != other.kind {
            return None;
        }
        let outside = both(self.rest, other.rest);
        let mut met = Self {
            rest: outside,
            ..Self::none(self.kind)
        };
        let named: BTreeSet<&String> = self.prefixes.union(&other.prefixes).collect();
        for prefix in &named {
            let above = proper_prefixes(prefix).find(|shorter| named.contains(&(*shorter).to_owned()));
            let inherited = above.map_or(outside, |above| both(self.under(above), other.under(above)));
            if both(self.under(prefix), other.under(prefix)) != inherited {
                met.prefixes.insert((*prefix).clone());
            }
        }
        for code in self.codes.union(&other.codes) {
            if both(self.contains(code), other.contains(code)) != both(self.around(code), other.around(code)) {
                met.codes.insert(code.clone());
            }
        }
        met.bounded().ok()
    }

    /// Whether codes that begin with `prefix` and are not listed any further are in the set.
    fn under(&self, prefix: &str) -> bool {
        let above = proper_prefixes(prefix).filter(|shorter| self.prefixes.contains(*shorter));
        let named = above.count() + usize::from(self.prefixes.contains(prefix));
        self.rest ^ (named % 2 == 1)
    }

    /// Whether the codes that only prefixes distinguish from `code` are in the set.
    fn around(&self, code: &Value) -> bool {
        match Datum::from(code) {
            Datum::Text(text) => self.under(text),
            Datum::Null | Datum::Truth(_) | Datum::Int(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) => {
                self.rest
            }
        }
    }

    fn bounded(self) -> Result<Self, InvalidCodes> {
        let is_short = |text: &str| text.len() <= MAX_TEXT;
        let codes = self.codes.iter().all(|code| match code {
            Value::Text(text) => self.kind == CodeKind::Text && is_short(text),
            Value::Int(_) => self.kind == CodeKind::Int,
            Value::Bool(_) | Value::Float(_) | Value::Date(_) => false,
        });
        let prefixes = self.prefixes.iter().all(|text| !text.is_empty() && is_short(text));
        let of_texts = self.prefixes.is_empty() || self.kind == CodeKind::Text;
        let few = self.codes.len() <= MAX_CODES && self.prefixes.len() <= MAX_CODES;
        if codes && prefixes && of_texts && few {
            Ok(self)
        } else {
            Err(InvalidCodes)
        }
    }
}

/// The shorter texts that `text` begins with, the longest first; not the empty one.
fn proper_prefixes(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.char_indices().map(|(at, _)| at).filter(|at| *at > 0).rev();
    ends.filter_map(|at| text.get(..at))
}

impl TryFrom<RawCodeSet> for CodeSet {
    type Error = InvalidCodes;
    fn try_from(raw: RawCodeSet) -> Result<Self, InvalidCodes> {
        Self {
            kind: raw.kind,
            rest: raw.rest,
            prefixes: raw.prefixes,
            codes: raw.codes,
        }
        .bounded()
    }
}
