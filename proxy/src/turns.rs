//! Turns at what is scarce: whoever asks for much waits behind itself, and not others behind it.
//!
//! Each owner has a queue of its own, and the queues take turns. So a build with one download has as much of the disk
//! as one with two hundred.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::identity::{Identity, Owner};

/// Turns, so many at a time.
pub(crate) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    queues: HashMap<Owner, VecDeque<oneshot::Sender<Turn>>>,
    /// The owners that have somebody waiting, whose turn is next in front.
    order: VecDeque<Owner>,
}

/// A turn, given back when it is dropped.
pub(crate) struct Turn {
    turns: Option<Arc<Turns>>,
}

impl Turns {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let state = State { free: count.max(1), queues: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits for a turn.
    pub(crate) async fn take(self: &Arc<Self>, who: &Identity) -> Turn {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Turn { turns: Some(self.clone()) };
            }
            let (sender, turn) = oneshot::channel();
            let owner = who.owner();
            let queue = state.queues.entry(owner.clone()).or_default();
            queue.push_back(sender);
            if queue.len() == 1 {
                state.order.push_back(owner);
            }
            turn
        };
        // The sender is only dropped with the turns, which we hold.
        turn.await.unwrap_or(Turn { turns: None })
    }

    fn give_back(self: Arc<Self>) {
        let mut turn = Turn { turns: Some(self.clone()) };
        loop {
            let Some(next) = self.next() else {
                // Freed under the lock by `next`; nothing is to be given back a second time.
                turn.turns = None;
                return;
            };
            match next.send(turn) {
                Ok(()) => return,
                // Who waited has gone away.
                Err(back) => turn = back,
            }
        }
    }

    /// Who is next; where nobody waits the turn is free.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = self.lock();
        while let Some(owner) = state.order.pop_front() {
            let Some(queue) = state.queues.get_mut(&owner) else { continue };
            let next = queue.pop_front();
            if queue.is_empty() {
                state.queues.remove(&owner);
            } else {
                state.order.push_back(owner);
            }
            if next.is_some() {
                return next;
            }
        }
        state.free += 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn build(name: &str) -> Identity {
        Identity { build: name.into(), ..Identity::default() }
    }

    #[tokio::test]
    async fn who_asks_for_little_does_not_wait_behind_who_asks_for_much() {
        let turns = Turns::new(1);
        let (greedy, modest) = (build("greedy"), build("modest"));
        let held = turns.take(&greedy).await;
        let mut waiting: Vec<_> = (0..200).map(|_| Box::pin(turns.take(&greedy))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        let mut late = Box::pin(turns.take(&modest));
        assert!((&mut late).now_or_never().is_none());
        drop(held);
        // One more of those that were there first; then the other's.
        let first = (&mut waiting[0]).now_or_never().expect("it was first");
        assert!((&mut late).now_or_never().is_none());
        drop(first);
        let turn = (&mut late).now_or_never().expect("it is the other's turn");
        assert!((&mut waiting[1]).now_or_never().is_none());
        drop(turn);
        assert!((&mut waiting[1]).now_or_never().is_some());
    }

    #[tokio::test]
    async fn turns_of_those_who_went_away_are_not_lost() {
        let turns = Turns::new(2);
        let (one, other) = (build("one"), build("other"));
        let held = (turns.take(&one).await, turns.take(&one).await);
        let mut gone: Vec<_> = (0..3).map(|_| Box::pin(turns.take(&one))).collect();
        for waiting in &mut gone {
            assert!(waiting.now_or_never().is_none());
        }
        let mut stays = Box::pin(turns.take(&other));
        assert!((&mut stays).now_or_never().is_none());
        drop(gone);
        drop(held);
        let first = (&mut stays).now_or_never().expect("the others are gone");
        let second = turns.take(&one).now_or_never().expect("both are free");
        assert!(turns.take(&one).now_or_never().is_none());
        drop((first, second));
        let all = (turns.take(&one).await, turns.take(&other).await);
        assert_eq!(turns.lock().free, 0);
        drop(all);
        assert_eq!(turns.lock().free, 2);
    }
}
