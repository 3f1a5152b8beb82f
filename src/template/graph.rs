//! What uses what: the order in which things can be made, and the circles in which they cannot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Groups of things, each after those it uses. A group of several is one of which each uses, by way of others, itself.
pub(crate) fn groups(uses: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut found = vec![NEW; uses.len()];
    let mut lowest = vec![NEW; uses.len()];
    let mut open = vec![false; uses.len()];
    let (mut stack, mut groups, mut count) = (Vec::new(), Vec::new(), 0);
    for start in 0..uses.len() {
        if found[start] != NEW {
            continue;
        }
        // What is being visited, and which of its uses comes next: not by recursion, as chains may be long.
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.pop() {
            if next == 0 {
                (found[node], lowest[node], open[node]) = (count, count, true);
                count += 1;
                stack.push(node);
            }
            if let Some(&used) = uses[node].get(next) {
                path.push((node, next + 1));
                if found[used] == NEW {
                    path.push((used, 0));
                } else if open[used] {
                    lowest[node] = lowest[node].min(found[used]);
                }
                continue;
            }
            if let Some(&(parent, _)) = path.last() {
                lowest[parent] = lowest[parent].min(lowest[node]);
            }
            if lowest[node] == found[node] {
                let first = stack.iter().rposition(|other| *other == node).unwrap_or_default();
                let group = stack.split_off(first);
                for member in &group {
                    open[*member] = false;
                }
                groups.push(group);
            }
        }
    }
    groups
}

/// The shortest way in a group from its first member back to it; none if it does not use itself.
pub(crate) fn circle(uses: &[Vec<usize>], group: &[usize]) -> Option<Vec<usize>> {
    let first = *group.iter().min()?;
    let members: BTreeSet<usize> = group.iter().copied().collect();
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next = VecDeque::from([first]);
    while let Some(node) = next.pop_front() {
        for &used in uses[node].iter().filter(|used| members.contains(used)) {
            if used == first {
                let mut path = vec![node];
                while let Some(before) = path.last().filter(|last| **last != first).map(|last| from[last]) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            from.entry(used).or_insert_with(|| {
                next.push_back(used);
                node
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_comes_first() {
        let groups = groups(&[vec![1, 2], vec![2], vec![], vec![0]]);
        assert_eq!(groups, [[2], [1], [0], [3]]);
    }

    #[test]
    fn every_circle_is_found_by_its_shortest_way() {
        // 0 <-> 1 use what is in another circle, 2 -> 3 -> 4 -> 2, with a longer way round; 5 uses itself, 6 uses 5.
        let uses = [vec![1], vec![2, 0], vec![3], vec![4], vec![0, 2], vec![5], vec![5]];
        let uses: Vec<Vec<usize>> =
            uses.into_iter().enumerate().map(|(node, used)| if node == 4 { vec![2] } else { used }).collect();
        let circles: Vec<Vec<usize>> = groups(&uses).iter().filter_map(|group| circle(&uses, group)).collect();
        assert_eq!(circles, [vec![2, 3, 4], vec![0, 1], vec![5]]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let count = 100_000;
        let uses: Vec<Vec<usize>> =
            (0..count).map(|node| (node + 1 < count).then_some(node + 1).into_iter().collect()).collect();
        assert_eq!(groups(&uses)[0], [count - 1]);
        let round: Vec<Vec<usize>> = (0..count).map(|node| vec![(node + 1) % count]).collect();
        assert_eq!(circle(&round, &groups(&round)[0]).map(|path| path.len()), Some(count));
    }
}
