//! Numbers that follow from a seed, and rows that are made of them: few different values, most of them at the edges of what exists.

use super::collection::{CONCEPT, DATASETS, DAY, EVENT, Item, PERSON, Record, World};

/// Numbers that follow from a seed (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// Whether something happens that happens once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// The same items in another order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Rows of up to ten subjects.
pub(super) fn world(dice: &mut Dice) -> World {
    let subjects = dice.below(11);
    let people: Vec<u32> = (0..u32::try_from(subjects).unwrap()).collect();
    let mut rows: [Vec<Record>; 4] = std::array::from_fn(|_| Vec::new());
    for (of, rows) in rows.iter_mut().enumerate() {
        match of {
            PERSON => {
                for person in &people {
                    if !dice.once_in(6) {
                        rows.push(record(of, Some(*person), dice));
                    }
                }
                rows.push(record(of, None, dice));
            }
            CONCEPT => {
                for code in 0..4 {
                    let mut row = record(of, None, dice);
                    row.items[0] = Item::Int(code);
                    rows.push(row);
                }
            }
            _ => {
                let most = if of == EVENT { 18 } else { 8 };
                for number in 0..dice.below(most) {
                    let owner = if dice.once_in(6) || people.is_empty() {
                        None
                    } else {
                        Some(*dice.pick(&people))
                    };
                    let mut row = record(of, owner, dice);
                    // Keys of visits: one of them twice.
                    if of != EVENT {
                        row.items[0] = Item::Int(i64::try_from(number.min(5)).unwrap());
                    }
                    rows.push(row);
                }
            }
        }
        dice.shuffle(rows);
    }
    World {
        subjects: u32::try_from(subjects).unwrap(),
        rows,
    }
}

fn record(of: usize, owner: Option<u32>, dice: &mut Dice) -> Record {
    let columns = DATASETS[of].1.iter();
    let items = columns.map(|(name, _)| if dice.once_in(7) { Item::Null } else { item(name, dice) });
    Record {
        owner,
        items: items.collect(),
    }
}

/// A value of a column.
fn item(name: &str, dice: &mut Dice) -> Item {
    let days = [
        i32::MIN,
        -719_163,
        -1,
        0,
        DAY - 1,
        DAY,
        DAY + 7,
        DAY + 31,
        DAY + 400,
        i32::MAX,
    ];
    let floats = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.1,
        9.999,
        10.0,
        75.25,
        99.5,
        1e300,
        -3.75,
        5e-324,
    ];
    match name {
        "born" => Item::Int(*dice.pick(&[i64::MIN, 1_899, 1_900, 1_939, 1_940, 1_975, 2_000, i64::MAX])),
        "sex" => Item::Text((*dice.pick(&["f", "m", "x"])).to_owned()),
        "weight" | "value" => Item::Float(*dice.pick(&floats)),
        "birth" | "day" | "start" => Item::Date(*dice.pick(&days)),
        "time" => Item::Millis(i64::from(*dice.pick(&[-1, 0, DAY, DAY + 31])) * 86_400_000 - 1),
        "until" => Item::Millis(i64::from(*dice.pick(&[-1, 0, DAY, DAY + 1, DAY + 5_000])) * 86_400_000 + 500),
        "note" => {
            let notes = ["12", "-5.5", "1e3", "40", " 40", "12 mg", "NaN", "inf", ""];
            Item::Text((*dice.pick(&notes)).to_owned())
        }
        "flag" => Item::Truth(dice.once_in(2)),
        "count" => Item::Int(*dice.pick(&[i64::MIN, -3, 0, 1, 9_007_199_254_740_993, i64::MAX])),
        "visit_id" => Item::Int(*dice.pick(&[0, 1, 2, 3, 77])),
        "concept_name" => Item::Text((*dice.pick(&["asthma", "gout", "goitre", ""])).to_owned()),
        _ => Item::Int(*dice.pick(&[0, 1, 2, 9])),
    }
}
