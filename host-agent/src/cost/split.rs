//! Splits an integer by weights without losing a unit: the method of largest remainder.

/// The parts of `amount` in proportion to `weights`; they sum to `amount` exactly. Units that the
/// division leaves over go to the largest remainders, the earlier position first where they tie, so
/// the same input always splits the same way. `None` when no weight is above 0.
pub(super) fn split(amount: u64, weights: &[u128]) -> Option<Vec<u64>> {
    let (weights, total) = scaled(weights)?;
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut rest = amount;
    for (place, weight) in weights.iter().enumerate() {
        let exact = u128::from(amount) * weight;
        // At most `amount`, because no weight is above the total.
        let part = u64::try_from(exact / total).unwrap_or(amount);
        rest -= part;
        parts.push(part);
        remainders.push((exact % total, place));
    }
    remainders.sort_unstable_by(|(a, a_at), (b, b_at)| b.cmp(a).then(a_at.cmp(b_at)));
    // Fewer units are left than there are parts with a remainder.
    for (_, place) in remainders {
        if rest == 0 {
            break;
        }
        if let Some(part) = parts.get_mut(place) {
            *part += 1;
            rest -= 1;
        }
    }
    Some(parts)
}

/// Halves all weights until their sum fits 63 bits, so that no product with an amount overflows.
/// Only absurd weights, from a broken source, lose precision by it.
fn scaled(weights: &[u128]) -> Option<(Vec<u128>, u128)> {
    let sum = weights.iter().fold(0_u128, |sum, weight| sum.saturating_add(*weight));
    let shift = sum.checked_ilog2()?.saturating_sub(62);
    let weights: Vec<_> = weights.iter().map(|weight| weight >> shift).collect();
    let total = weights.iter().sum();
    (total > 0).then_some((weights, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn remainders_go_to_the_largest_then_to_the_first() {
        assert_eq!(split(10, &[1, 1, 1]), Some(vec![4, 3, 3]));
        assert_eq!(split(10, &[1, 2, 4]), Some(vec![1, 3, 6]));
        assert_eq!(split(1, &[0, 1, 1]), Some(vec![0, 1, 0]));
        assert_eq!(split(0, &[3, 4]), Some(vec![0, 0]));
        assert_eq!(split(7, &[5]), Some(vec![7]));
    }

    #[test]
    fn nothing_to_split_by() {
        assert_eq!(split(10, &[]), None);
        assert_eq!(split(10, &[0, 0]), None);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_amount(amount: u64, weights in prop::collection::vec(any::<u128>(), 1..20)) {
            if let Some(parts) = split(amount, &weights) {
                prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(amount));
            }
        }

        #[test]
        fn no_part_is_a_unit_off(amount in 0_u64..1 << 50, weights in prop::collection::vec(0_u128..1 << 50, 1..20)) {
            let total: u128 = weights.iter().sum();
            for (part, weight) in split(amount, &weights).into_iter().flatten().zip(&weights) {
                let exact = u128::from(amount) * weight;
                prop_assert!(u128::from(part) * total < exact + total);
                prop_assert!((u128::from(part) + 1) * total > exact);
            }
        }
    }
}
