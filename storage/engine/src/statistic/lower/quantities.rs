//! Which quantity a sum is: a column, the difference of two dates or years, or a sum of columns.
//!
//! One meaning has one quantity. The days between two dates have one direction, whichever the text has, and what is measured is a multiple
//! of a quantity that does not depend on the factor. Only labels of groups have the direction of the text.

use concordat_protocol::scope::Finite;

use super::{
    arithmetic::{Exactness, Part, Sum, is_one},
    scaled::{Scaled, reversed},
    state::Lowering,
};
use crate::statistic::{
    encoding::cbor,
    paths::ColumnPath,
    terms::{Day, Quantity},
};

impl Lowering<'_> {
    /// A sum that is one quantity as it is written; `None` if it is another one.
    pub(super) fn single(&self, sum: &Sum) -> Option<Quantity> {
        match sum.terms.as_slice() {
            [(factor, Part::Number(of))] if is_one(*factor) && sum.plus == 0.0 => Some(of.clone()),
            [(factor, Part::Date(day, _))] if is_one(*factor) && sum.plus == 0.0 => Some(day.quantity()),
            [a, b] if sum.plus == 0.0 => match self.pair(a, b, sum) {
                Some(pair) => pair.into_quantity(),
                None => self.seconds(sum)?.into_quantity(),
            },
            _ => None,
        }
    }

    /// The difference of two dates or of two years.
    pub(super) fn pair(&self, a: &(f64, Part), b: &(f64, Part), sum: &Sum) -> Option<Pair> {
        if sum.dates != 0.0 {
            return None;
        }
        let (positive, negative) = if is_one(a.0) && is_one(-b.0) {
            (&a.1, &b.1)
        } else if is_one(b.0) && is_one(-a.0) {
            (&b.1, &a.1)
        } else {
            return None;
        };
        match (positive, negative) {
            (Part::Date(to, exact), Part::Date(from, also)) => {
                let of_days = ![exact, also].iter().any(|exactness| **exactness == Exactness::Time);
                // The days from a date to itself are a constant, or missing.
                (of_days && from != to).then(|| {
                    let (of, is_negative) = Quantity::days(from.clone(), to.clone());
                    Pair { of, is_negative }
                })
            }
            (Part::Year(at), other) => {
                let of = self.age(at, other);
                let other_way = || match other {
                    Part::Year(at) => self.age(at, positive).map(|of| (of, true)),
                    Part::Number(_) | Part::Date(..) | Part::Epoch(_) => None,
                };
                let (of, is_negative) = of.map(|of| (of, false)).or_else(other_way)?;
                Some(Pair { of, is_negative })
            }
            (Part::Number(_), Part::Year(at)) => self.age(at, positive).map(|of| Pair { of, is_negative: true }),
            _ => None,
        }
    }

    /// The year of a date minus the year of birth of a subject.
    fn age(&self, at: &Day, born: &Part) -> Option<Quantity> {
        let (Part::Number(Quantity::Column(born)) | Part::Year(Day::Column(born))) = born else {
            return None;
        };
        let is_of_subject = self.known.is_unique(born.dataset());
        is_of_subject.then(|| Quantity::Age {
            born: born.clone(),
            at: at.clone(),
        })
    }

    /// A sum as it is measured; `None` if it is not a sum of columns.
    pub(super) fn scaled(&self, sum: &Sum) -> Option<Scaled> {
        match sum.terms.as_slice() {
            [(factor, Part::Number(of))] => Some(Scaled {
                of: of.clone(),
                by: *factor,
                plus: sum.plus,
            }),
            [a, b] if self.pair(a, b, sum).is_some() => self.pair(a, b, sum).map(|pair| Scaled {
                by: if pair.is_negative { -1.0 } else { 1.0 },
                of: pair.of,
                plus: sum.plus,
            }),
            _ => self.seconds(sum).or_else(|| linear(sum)),
        }
    }

    /// A multiple of the seconds between two points in time, in the one direction that they have.
    fn seconds(&self, sum: &Sum) -> Option<Scaled> {
        let [(factor, Part::Epoch(one)), (other_factor, Part::Epoch(other))] = sum.terms.as_slice() else {
            return None;
        };
        let is_difference = factor.to_bits() == (-other_factor).to_bits() && one != other;
        if !is_difference || !self.known.are_times(one, other) {
            return None;
        }
        let (from, to, by) = if cbor(one) <= cbor(other) {
            (one, other, *other_factor)
        } else {
            (other, one, *factor)
        };
        let of = Quantity::Seconds {
            from: from.clone(),
            to: to.clone(),
        };
        Some(Scaled { of, by, plus: sum.plus })
    }
}

/// Two parts as one quantity in the direction that statistics have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) of: Quantity,
    /// Whether the text has it with the other sign.
    pub(super) is_negative: bool,
}

impl Pair {
    /// The quantity in the direction of the text, which the labels of groups have.
    fn into_quantity(self) -> Option<Quantity> {
        if self.is_negative {
            reversed(self.of)
        } else {
            Some(self.of)
        }
    }
}

/// A sum of several columns, of which the first one is added.
fn linear(sum: &Sum) -> Option<Scaled> {
    let mut terms: Vec<(Finite, ColumnPath)> = Vec::new();
    for (factor, part) in &sum.terms {
        let Part::Number(Quantity::Column(path)) = part else {
            return None;
        };
        if terms.iter().any(|(_, known)| known == path) {
            return None;
        }
        terms.push((Finite::new(*factor).ok()?, path.clone()));
    }
    terms.sort_by_cached_key(|(_, path)| cbor(path));
    let by = if terms.first()?.0.get() < 0.0 { -1.0 } else { 1.0 };
    for (factor, _) in &mut terms {
        *factor = Finite::new(factor.get() * by).ok()?;
    }
    Some(Scaled {
        of: Quantity::Linear {
            terms,
            plus: Finite::new(0.0).ok()?,
        },
        by,
        plus: sum.plus,
    })
}
