//! Places buffers in one arena, where they share memory if their lifetimes allow.

/// The length of a buffer, and the first and the last step that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) len: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// Returns the offset of each buffer, a multiple of `alignment`, and the total length. Buffers that
/// are in use at the same time do not overlap. Buffers are placed from the largest to the smallest,
/// each at the lowest free offset.
pub(crate) fn place(lives: &[Lifetime], alignment: usize) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(lives[*i].len));
    let mut offsets = vec![0; lives.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for i in order {
        let life = lives[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|j| lives[**j].first <= life.last && life.first <= lives[**j].last)
            .map(|j| (offsets[*j], offsets[*j] + lives[*j].len))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (from, to) in taken {
            if at + life.len <= from {
                break;
            }
            at = at.max(to.next_multiple_of(alignment));
        }
        offsets[i] = at;
        end = end.max(at + life.len);
        placed.push(i);
    }
    (offsets, end.next_multiple_of(alignment))
}

/// Like [`place`], but no two buffers share memory.
pub(crate) fn place_separately(lives: &[Lifetime], alignment: usize) -> (Vec<usize>, usize) {
    let mut end = 0;
    let mut next = |life: &Lifetime| {
        let at = end;
        end += life.len.next_multiple_of(alignment);
        at
    };
    let offsets = lives.iter().map(&mut next).collect();
    (offsets, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buffers_in_use_at_the_same_time_do_not_overlap(
            lives in prop::collection::vec((1usize..2000, 0usize..20, 0usize..8), 1..30),
        ) {
            let lives: Vec<Lifetime> = lives
                .into_iter()
                .map(|(len, first, steps)| Lifetime { len, first, last: first + steps })
                .collect();
            let separate = place_separately(&lives, 64);
            let shared = place(&lives, 64);
            prop_assert!(shared.1 <= separate.1);
            for (offsets, end) in [separate, shared] {
                for (i, a) in lives.iter().enumerate() {
                    prop_assert!(offsets[i].is_multiple_of(64) && offsets[i] + a.len <= end);
                    for (j, b) in lives.iter().enumerate().take(i) {
                        let in_use_together = a.first <= b.last && b.first <= a.last;
                        let overlap =
                            offsets[i] < offsets[j] + b.len && offsets[j] < offsets[i] + a.len;
                        prop_assert!(!(in_use_together && overlap));
                    }
                }
            }
        }
    }
}
