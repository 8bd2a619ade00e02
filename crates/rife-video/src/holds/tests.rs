use super::*;
use proptest::prelude::*;

use Decision::{Hold, Pair};
use PairKind::{Cut, Motion, Still};

/// Decisions about the pairs of a stream, and for each the largest number of pairs it waited for.
fn plan(longest: usize, kinds: &[PairKind], drifted: bool) -> (Vec<Decision>, usize) {
    let mut planner = HoldPlanner::new(longest);
    let (mut all, mut decided, mut waited) = (Vec::new(), 0, 0);
    for (i, kind) in kinds.iter().enumerate() {
        for decision in planner.push(*kind, false, || drifted) {
            waited = waited.max(i - decided);
            decided += pairs_of(decision);
            all.push(decision);
        }
    }
    let rest = planner.finish();
    all.extend(rest);
    (all, waited)
}

fn pairs_of(decision: Decision) -> usize {
    match decision {
        Pair(_) => 1,
        Hold(pairs) => pairs,
    }
}

/// A pattern as text: `s` still, `m` motion, `c` cut.
fn kinds(pattern: &str) -> Vec<PairKind> {
    let kind = |letter| match letter {
        's' => Still,
        'm' => Motion,
        _ => Cut,
    };
    pattern.chars().map(kind).collect()
}

#[test]
fn holds_up_to_the_longest_are_interpolated_over() {
    let stay = Pair(Still);
    for (longest, pattern, expected) in [
        // Twos, threes, and both with ones between.
        (3, "smsm", vec![Hold(2), Hold(2)]),
        (3, "ssmssm", vec![Hold(3), Hold(3)]),
        (3, "msmmssm", vec![Pair(Motion), Hold(2), Pair(Motion), Hold(3)]),
        // A hold of four frames is a pause; only its last interval moves.
        (3, "sssmsm", vec![stay, stay, stay, Pair(Motion), Hold(2)]),
        (4, "sssmsm", vec![Hold(4), Hold(2)]),
        (2, "ssmsm", vec![stay, stay, Pair(Motion), Hold(2)]),
        (3, "ssssssssm", [vec![stay; 8], vec![Pair(Motion)]].concat()),
        // A drawing is held up to a cut and up to the end.
        (3, "sscsmss", vec![stay, stay, Pair(Cut), Hold(2), stay, stay]),
        (3, "mc", vec![Pair(Motion), Pair(Cut)]),
        (3, "ssssc", [vec![stay; 4], vec![Pair(Cut)]].concat()),
        (3, "", vec![]),
        (3, "s", vec![stay]),
        // Off.
        (1, "smssmc", kinds("smssmc").into_iter().map(Pair).collect()),
        (0, "sm", vec![stay, Pair(Motion)]),
    ] {
        assert_eq!(plan(longest, &kinds(pattern), false).0, expected, "{longest} {pattern}");
    }
}

#[test]
fn slow_motion_is_interpolated_pair_by_pair() {
    let moves = Pair(Motion);
    assert_eq!(plan(3, &kinds("ssssm"), true).0, [moves; 5]);
    // Too short for a decision: a hold.
    assert_eq!(plan(3, &kinds("ssm"), true).0, [Hold(3)]);
    assert_eq!(plan(1, &kinds("ssm"), true).0, [Pair(Still), Pair(Still), moves]);
    // The pairs of every window with drift move, but those with identical frames.
    let mut planner = HoldPlanner::new(2);
    let mut all = Vec::new();
    for (identical, drifted) in [
        (false, false),
        (false, false),
        (true, true),
        (false, true),
        (false, false),
        (false, false),
    ] {
        all.extend(planner.push(Still, identical, || drifted));
    }
    all.extend(planner.finish());
    let stay = Pair(Still);
    assert_eq!(all, [stay, moves, stay, moves, stay, stay]);
}

fn any_kinds() -> impl Strategy<Value = Vec<PairKind>> {
    // Mostly still, so that holds of all lengths occur.
    let kind = prop_oneof![5 => Just(Still), 3 => Just(Motion), 1 => Just(Cut)];
    prop::collection::vec(kind, 0..60)
}

proptest! {
    #[test]
    fn every_pair_is_decided_once_and_soon(
        kinds in any_kinds(), longest in 0usize..8, drifted: bool,
    ) {
        let (decisions, waited) = plan(longest, &kinds, drifted);
        prop_assert_eq!(decisions.iter().copied().map(pairs_of).sum::<usize>(), kinds.len());
        prop_assert!(waited < longest.max(1));
        let mut at = 0;
        for decision in decisions {
            let pairs = &kinds[at..at + pairs_of(decision)];
            at += pairs.len();
            match decision {
                // Still pairs, then motion; preceded by another drawing, or the start.
                Hold(length) => {
                    prop_assert!(length <= longest && length > 1);
                    let (last, before) = pairs.split_last().unwrap();
                    prop_assert!(*last == Motion && before.iter().all(|kind| *kind == Still));
                    let start = at - length;
                    prop_assert!(start == 0 || kinds[start - 1] != Still);
                }
                Pair(kind) => {
                    let slow = drifted && longest > 1 && kind == Motion && pairs[0] == Still;
                    prop_assert!(kind == pairs[0] || slow);
                }
            }
        }
    }

    /// A reader that starts anywhere, `longest` pairs early, makes the same decisions.
    #[test]
    fn a_decision_depends_on_the_pairs_around_it_only(
        kinds in any_kinds(), longest in 1usize..6, start in 0usize..60,
    ) {
        let per_pair = |from: usize| {
            let mut all = Vec::new();
            for decision in plan(longest, &kinds[from..], false).0 {
                let pairs = pairs_of(decision);
                all.extend((0..pairs).map(|position| (decision, position)));
            }
            all
        };
        let start = start.min(kinds.len());
        let (all, part) = (per_pair(0), per_pair(start));
        for pair in start + longest..kinds.len() {
            prop_assert_eq!(all[pair], part[pair - start]);
        }
    }
}
