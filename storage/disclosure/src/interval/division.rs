//! Subjects divided into classes, by one set after the other.

use crate::UnitSet;

/// The classes so far. Each subject has the number of its class: that takes two bytes for each, and each set is read twice, however many classes there are.
pub(super) struct Division {
    /// The class of each subject; [`NONE`] of those who are in no set.
    class_of: Vec<u16>,
    /// The numbers of subjects, by class. The first one is [`NONE`], which is not counted.
    counts: Vec<u64>,
    /// The sets that each class is in, ascending.
    sets: Vec<Vec<usize>>,
    /// The classes in the order in which they are listed.
    order: Vec<u16>,
}

/// Of who is in no set.
const NONE: u16 = 0;

impl Division {
    /// No classes of subjects up to the largest one.
    pub(super) fn of(largest: Option<u32>) -> Self {
        let subjects = largest.map_or(0, |largest| {
            usize::try_from(largest).unwrap_or(usize::MAX).saturating_add(1)
        });
        Self {
            class_of: vec![NONE; subjects],
            counts: vec![0],
            sets: vec![Vec::new()],
            order: Vec::new(),
        }
    }

    /// The number of classes.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Divides each class into those who are in a set, which are listed first, and the others. The caller stops long before there are more classes than
    /// numbers for them.
    pub(super) fn divide(&mut self, at: usize, set: &UnitSet) {
        let mut inside = vec![0_u64; self.counts.len()];
        for class in set.iter().filter_map(|unit| self.class_of.get(unit as usize)) {
            if let Some(number) = inside.get_mut(usize::from(*class)) {
                *number += 1;
            }
        }
        let mut moved = vec![None; self.counts.len()];
        let mut order = Vec::with_capacity(self.order.len() + 1);
        for class in std::mem::take(&mut self.order) {
            let number = inside.get(usize::from(class)).copied().unwrap_or(0);
            order.extend(self.split(class, number, at, &mut moved));
            order.push(class);
        }
        let others = inside.first().copied().unwrap_or(0);
        order.extend(self.split(NONE, others, at, &mut moved));
        self.order = order;
        if moved.iter().all(Option::is_none) {
            return;
        }
        for unit in set.iter() {
            let Some(class) = self.class_of.get_mut(unit as usize) else {
                continue;
            };
            if let Some(Some(to)) = moved.get(usize::from(*class)) {
                *class = *to;
            }
        }
    }

    /// The new class of those of a class who are in a set, if it is not the whole class.
    fn split(&mut self, class: u16, inside: u64, set: usize, moved: &mut [Option<u16>]) -> Option<u16> {
        let at = usize::from(class);
        let sets = self.sets.get_mut(at).filter(|_| inside > 0)?;
        let count = self.counts.get_mut(at)?;
        if class != NONE && *count == inside {
            sets.push(set);
            return None;
        }
        let within = [&sets[..], &[set]].concat();
        *count = count.saturating_sub(inside);
        let new = u16::try_from(self.counts.len()).ok()?;
        *moved.get_mut(at)? = Some(new);
        self.sets.push(within);
        self.counts.push(inside);
        Some(new)
    }

    /// The numbers of subjects of the classes, and the sets that each is in.
    pub(super) fn finish(mut self) -> (Vec<u64>, Vec<Vec<usize>>) {
        let mut listed = |class: &u16| {
            let count = self.counts.get(usize::from(*class)).copied()?;
            Some((count, std::mem::take(self.sets.get_mut(usize::from(*class))?)))
        };
        self.order.iter().filter_map(&mut listed).unzip()
    }
}
