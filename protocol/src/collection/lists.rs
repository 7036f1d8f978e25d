//! Lists and maps with a maximum, read one element at a time.
//!
//! A list states its length before its elements, so a few bytes can announce millions. What is read here grows with the elements that
//! arrive: at most 256 bytes of memory for each byte of input (`FACTOR`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most bytes of memory for each byte that is decoded: the node of a map has memory for eleven entries, and a vector for twice its
/// elements while it grows.
#[cfg(test)]
pub(super) const FACTOR: usize = 256;

/// A list of at most `MAX` elements.
pub(super) fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Elements<T, const MAX: usize>(PhantomData<fn() -> T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::new();
            while let Some(element) = elements.next_element()? {
                if read.len() >= MAX {
                    return Err(A::Error::custom(format_args!("more than {MAX} elements")));
                }
                read.push(element);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_seq(Elements::<T, MAX>(PhantomData))
}

/// A set of at most `MAX` elements, none of them twice.
pub(super) fn set<'de, D, T, const MAX: usize>(deserializer: D) -> Result<BTreeSet<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Ord,
{
    let read: Vec<T> = list::<_, _, MAX>(deserializer)?;
    let len = read.len();
    let set: BTreeSet<T> = read.into_iter().collect();
    if set.len() == len {
        Ok(set)
    } else {
        Err(D::Error::custom("an element is in a set twice"))
    }
}

/// A map of at most `MAX` entries, no key twice.
pub(super) fn map<'de, D, K, V, const MAX: usize>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    struct Entries<K, V, const MAX: usize>(PhantomData<fn() -> (K, V)>);

    impl<'de, K, V, const MAX: usize> Visitor<'de> for Entries<K, V, MAX>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a map of at most {MAX} entries")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<BTreeMap<K, V>, A::Error> {
            let mut read = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry()? {
                if read.len() >= MAX {
                    return Err(A::Error::custom(format_args!("more than {MAX} entries")));
                }
                if read.insert(key, value).is_some() {
                    return Err(A::Error::custom("a key is in a map twice"));
                }
            }
            Ok(read)
        }
    }

    deserializer.deserialize_map(Entries::<K, V, MAX>(PhantomData))
}
