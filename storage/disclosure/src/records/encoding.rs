//! Records as bytes: a byte for the format, one for the kind, and the parts in order. Numbers are little endian.

use std::num::NonZeroU16;

use concordat_protocol::ids::{Digest32, GrantId};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Finite;

use super::error::RecordError;
use super::record::{Record, StoredAnswer};
use crate::UnitSet;
use crate::answer::{Mode, Precision, Released, ReleasedColumn, Value};
use crate::boxes::CellBox;
use crate::cells::{FigureName, SetName};
use crate::encoding::{Input, Malformed, put_count, put_part};
use crate::space::ReleasedSet;
use crate::time_class::TimeClass;

/// The format of all records of this version of the program.
const FORMAT: u8 = 1;

const VERSION: u8 = 1;
const SET: u8 = 2;
const SUMS: u8 = 3;
const ANSWER: u8 = 4;
const SPENT: u8 = 5;

/// Most bytes of a person's name.
const MAX_PERSON: usize = 1_024;

impl Record {
    /// The record as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        match self {
            Self::Version {
                version,
                universe,
                changed,
            } => {
                bytes.push(VERSION);
                put_version(&mut bytes, *version);
                bytes.extend_from_slice(&universe.to_le_bytes());
                put_part(&mut bytes, &changed.to_bytes());
            }
            Self::Set(set) => {
                bytes.push(SET);
                put_version(&mut bytes, set.version);
                put_part(&mut bytes, &set.cell.to_bytes());
                put_part(&mut bytes, &set.units.to_bytes());
            }
            Self::Sums { set, figures } => {
                bytes.push(SUMS);
                bytes.extend_from_slice(set.as_bytes());
                put_count(&mut bytes, figures.len());
                figures
                    .iter()
                    .for_each(|figure| bytes.extend_from_slice(figure.as_bytes()));
            }
            Self::Answer(answer) => {
                bytes.push(ANSWER);
                put_answer(&mut bytes, answer);
            }
            Self::Spent(rho) => {
                bytes.push(SPENT);
                bytes.extend_from_slice(&rho.to_le_bytes());
            }
        }
        bytes
    }

    /// What [`Self::to_bytes`] wrote, for a memory of `universe` units. A version may have more units than those before it.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] for other bytes, and for a set with more units.
    pub fn from_untrusted(bytes: &[u8], universe: u32) -> Result<Self, RecordError> {
        let mut input = Input::new(bytes);
        if input.byte()? != FORMAT {
            return Err(RecordError::Malformed);
        }
        let record = match input.byte()? {
            VERSION => {
                let version = read_version(&mut input)?;
                let universe = input.u32()?;
                let changed = read_units(&mut input, universe)?;
                Self::Version {
                    version,
                    universe,
                    changed,
                }
            }
            SET => {
                let version = read_version(&mut input)?;
                let cell = CellBox::from_untrusted(input.part()?).map_err(|_| RecordError::Malformed)?;
                let units = read_units(&mut input, universe)?;
                Self::Set(ReleasedSet { units, version, cell })
            }
            SUMS => {
                let set = SetName::new(input.array()?);
                let count = input.count(32)?;
                let figures = (0..count).map(|_| input.array().map(FigureName::new));
                let figures = figures.collect::<Result<Vec<FigureName>, Malformed>>()?;
                Self::Sums { set, figures }
            }
            ANSWER => Self::Answer(read_answer(&mut input)?),
            SPENT => Self::Spent(input.u64()?),
            _ => return Err(RecordError::Malformed),
        };
        if input.is_empty() {
            Ok(record)
        } else {
            Err(RecordError::Malformed)
        }
    }
}

fn put_version(to: &mut Vec<u8>, version: VersionNumber) {
    to.extend_from_slice(&version.get().to_le_bytes());
}

fn read_version(input: &mut Input<'_>) -> Result<VersionNumber, Malformed> {
    Ok(VersionNumber::new(input.u64()?))
}

fn read_units(input: &mut Input<'_>, universe: u32) -> Result<UnitSet, RecordError> {
    UnitSet::from_untrusted(input.part()?, universe).map_err(|_| RecordError::Malformed)
}

fn put_answer(to: &mut Vec<u8>, answer: &StoredAnswer) {
    to.extend_from_slice(answer.query.as_bytes());
    put_part(to, answer.person.as_bytes());
    match &answer.grant {
        None => to.push(0),
        Some(grant) => {
            to.push(1);
            to.extend_from_slice(grant.as_bytes());
        }
    }
    to.push(answer.class.number());
    match (answer.released.mode(), answer.variance) {
        (Mode::Exact, _) => to.push(0),
        (Mode::Perturbed, None) => to.push(1),
        (Mode::Private, _) => to.push(2),
        // Also of the default noise: what an answer had does not depend on a later default. It takes two bytes.
        (Mode::Perturbed, Some(variance)) => {
            to.push(3);
            to.extend_from_slice(&variance.get().to_le_bytes());
        }
    }
    put_count(to, answer.released.cells());
    put_count(to, answer.released.columns().len());
    for column in answer.released.columns() {
        match column.precision() {
            Precision::Exact => to.push(0),
            Precision::StandardDeviation(number) => put_number(to, 1, number),
            Precision::HalfWidth(number) => put_number(to, 2, number),
        }
        for value in column.values() {
            match value {
                None => to.push(0),
                Some(Value::Whole(number)) => {
                    to.push(1);
                    to.extend_from_slice(&number.to_le_bytes());
                }
                Some(Value::Real(number)) => put_number(to, 2, *number),
            }
        }
    }
}

fn put_number(to: &mut Vec<u8>, tag: u8, number: Finite) {
    to.push(tag);
    to.extend_from_slice(&number.get().to_bits().to_le_bytes());
}

fn read_answer(input: &mut Input<'_>) -> Result<StoredAnswer, RecordError> {
    let query = Digest32::from_bytes(input.array()?);
    let person = std::str::from_utf8(input.part()?).map_err(|_| RecordError::Malformed)?;
    if person.len() > MAX_PERSON {
        return Err(RecordError::Malformed);
    }
    let grant = match input.byte()? {
        0 => None,
        1 => Some(GrantId::from_bytes(input.array()?)),
        _ => return Err(RecordError::Malformed),
    };
    let class = TimeClass::new(input.byte()?).ok_or(RecordError::Malformed)?;
    let (mode, variance) = match input.byte()? {
        0 => (Mode::Exact, None),
        1 => (Mode::Perturbed, None),
        2 => (Mode::Private, None),
        3 => {
            let variance = NonZeroU16::new(u16::from_le_bytes(input.array()?));
            (Mode::Perturbed, Some(variance.ok_or(RecordError::Malformed)?))
        }
        _ => return Err(RecordError::Malformed),
    };
    // Each value has a byte, and each column one for its precision.
    let cells = input.count(1)?;
    let columns = input.count(1)?;
    let columns = (0..columns).map(|_| read_column(input, cells));
    let columns = columns.collect::<Result<Vec<ReleasedColumn>, RecordError>>()?;
    let has_cells = !columns.is_empty() || cells == 0;
    let released = Released::new(mode, cells, columns).ok().filter(|_| has_cells);
    Ok(StoredAnswer {
        query,
        released: released.ok_or(RecordError::Malformed)?,
        variance,
        person: person.to_owned(),
        grant,
        class,
    })
}

fn read_column(input: &mut Input<'_>, cells: usize) -> Result<ReleasedColumn, RecordError> {
    let precision = match input.byte()? {
        0 => Precision::Exact,
        1 => Precision::StandardDeviation(read_number(input)?),
        2 => Precision::HalfWidth(read_number(input)?),
        _ => return Err(RecordError::Malformed),
    };
    let values = (0..cells).map(|_| read_value(input));
    Ok(ReleasedColumn::new(precision, values.collect::<Result<_, _>>()?))
}

fn read_value(input: &mut Input<'_>) -> Result<Option<Value>, RecordError> {
    match input.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Value::Whole(i64::from_le_bytes(input.array()?)))),
        2 => Ok(Some(Value::Real(read_number(input)?))),
        _ => Err(RecordError::Malformed),
    }
}

/// A finite number; minus zero is not one, so that each number has one encoding.
fn read_number(input: &mut Input<'_>) -> Result<Finite, RecordError> {
    let bits = input.u64()?;
    let number = Finite::new(f64::from_bits(bits)).map_err(|_| RecordError::Malformed)?;
    if number.get().to_bits() == bits {
        Ok(number)
    } else {
        Err(RecordError::Malformed)
    }
}
