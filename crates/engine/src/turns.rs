//! Turns for large transfers: the memory of many at once is that of a few.
//!
//! A connection that delivers fast is read in ever larger pieces. Beyond its first bytes a transfer
//! goes on only in its turn; the others wait with what they have, and their senders with the rest.
//! Whoever is slow gives its turn up until it has brought something, so that nobody can keep others
//! waiting.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Large transfers that are read at the same time.
const TURNS: usize = 16;
/// What is read of each before it needs a turn: most results end before that.
const SMALL_BYTES: u64 = 128 << 10;
/// A turn in which nothing came for this long is given up.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TURNS)))
    }
}

/// One transfer.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(crate) fn transfer(&self) -> Turn {
        Turn { turns: self.clone(), permit: None }
    }
}

impl Turn {
    /// Waits for the transfer's turn, once it is large.
    pub(crate) async fn begin(&mut self, received: u64) {
        if received >= SMALL_BYTES && self.permit.is_none() {
            // The semaphore is never closed; without a permit a transfer would only take more room.
            self.permit = self.turns.0.clone().acquire_owned().await.ok();
        }
    }

    /// Waits for the next piece; a slow one costs the turn.
    pub(crate) async fn next<T>(&mut self, piece: impl Future<Output = T>) -> T {
        let mut piece = pin!(piece);
        if self.permit.is_some() {
            match timeout(PATIENCE, &mut piece).await {
                Ok(piece) => return piece,
                Err(_) => self.permit = None,
            }
        }
        piece.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn the_slow_give_their_turns_up() {
        let turns = Turns::default();
        let mut slow: Vec<Turn> = (0..TURNS).map(|_| turns.transfer()).collect();
        for turn in &mut slow {
            turn.begin(SMALL_BYTES).await;
        }
        let mut fast = turns.transfer();
        fast.begin(SMALL_BYTES - 1).await;
        assert!(fast.permit.is_none(), "a small transfer needs no turn");
        let waits = timeout(PATIENCE * 2, fast.begin(SMALL_BYTES));
        assert!(waits.await.is_err(), "every turn is taken");
        let stalled = slow.iter_mut().map(|turn| timeout(PATIENCE * 2, turn.next(pending::<()>())));
        futures_util::future::join_all(stalled).await;
        timeout(PATIENCE, fast.begin(SMALL_BYTES)).await.expect("turns are free again");
        assert_eq!(fast.next(ready(7)).await, 7);
        assert!(fast.permit.is_some(), "who is fast keeps its turn");
    }
}
