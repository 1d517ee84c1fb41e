//! Sorting with one copy of the code for all types.
//!
//! Each call of the slice's own methods with another type or another order compiles three kilobytes. `svctl` and
//! `servicedir` sort short lists of twenty types.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Sorts like `slice::sort_by`: equal elements keep their order.
pub fn sort_by<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    sort_numbers(&mut order, &mut |one, other| match (items.get(one), items.get(other)) {
        (Some(first), Some(second)) => compare(first, second).then(one.cmp(&other)),
        _ => Ordering::Equal,
    });
    // Moves along each cycle of places, once through all of them: a place that is done names itself.
    for start in 0..items.len() {
        let mut at = start;
        while let Some(place) = order.get_mut(at) {
            let from = core::mem::replace(place, at);
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// Sorts like `slice::sort_by_key`: equal elements keep their order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Sorts like `slice::sort`.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// The only copy of the sorting itself.
fn sort_numbers(order: &mut [usize], compare: &mut dyn FnMut(usize, usize) -> Ordering) {
    order.sort_unstable_by(|&one, &other| compare(one, other));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_sorts_as_slices_do(mut items in prop::collection::vec((0_u8..20, any::<u8>()), 0..100)) {
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            sort_by_key(&mut items, |item| item.0);
            prop_assert_eq!(&items, &expected);
            expected.sort_unstable();
            sort(&mut items);
            prop_assert_eq!(items, expected);
        }
    }
}
