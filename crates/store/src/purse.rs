//! What vendors' budgets, and a pause of submissions, let through: decided in the transaction that
//! records an attempt, so that all replicas share it.

use crate::{
    db::{Conn, DbResult, Row},
    render::SaveRow,
    rows::Budget,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// How soon an attempt that met a pause asks again.
const PAUSE_WAIT: Duration = Duration::from_secs(2);

/// One vendor's budget within this transaction; reading it locks its row against other replicas.
pub(crate) struct Purse {
    now: i64,
    next_at: i64,
    in_flight: i64,
}

/// While submissions are paused no attempt is admitted, whatever a replica may have seen last.
async fn is_paused(conn: &mut Conn) -> DbResult<bool> {
    Ok(!conn.rows("SELECT 1 FROM meta WHERE name = 'paused_since'", Vec::new()).await?.is_empty())
}

/// Decides which attempts their vendors' budgets admit; the others get a moment to come back at.
pub(crate) async fn admit(conn: &mut Conn, saves: &[(usize, &SaveRow)]) -> DbResult<HashMap<usize, Duration>> {
    let attempts = || saves.iter().filter(|(_, row)| row.budget.is_some());
    if attempts().next().is_some() && is_paused(conn).await? {
        return Ok(attempts().map(|(at, _)| (*at, PAUSE_WAIT)).collect());
    }
    let limited = |row: &&SaveRow| row.budget.as_ref().is_some_and(|(_, budget)| *budget != Budget::default());
    let vendors: BTreeSet<&str> = saves
        .iter()
        .map(|(_, row)| *row)
        .filter(limited)
        .filter_map(|row| Some(row.budget.as_ref()?.0.as_str()))
        .collect();
    // In the order of their names: replicas that lock them in different orders would block each other.
    let mut purses: BTreeMap<&str, Purse> = BTreeMap::new();
    for vendor in vendors {
        purses.insert(vendor, open_purse(conn, vendor).await?);
    }
    let mut later = HashMap::new();
    for (at, row) in saves {
        let Some((vendor, budget)) = &row.budget else { continue };
        let Some(purse) = purses.get_mut(vendor.as_str()) else { continue };
        if let Err(wait) = purse.spend(*budget) {
            later.insert(*at, wait);
        }
    }
    for (vendor, purse) in purses {
        let values = vec![vendor.into(), purse.next_at.into()];
        conn.rows("UPDATE budgets SET next_at = $2 WHERE vendor = $1", values).await?;
    }
    Ok(later)
}

pub(crate) async fn open_purse(conn: &mut Conn, vendor: &str) -> DbResult<Purse> {
    const LOCK: &str = "INSERT INTO budgets (vendor, next_at) VALUES ($1, 0) \
                        ON CONFLICT (vendor) DO UPDATE SET next_at = budgets.next_at RETURNING next_at, {NOW}";
    const BUSY: &str = "SELECT CAST(COALESCE(SUM(in_flight), 0) AS BIGINT) FROM work \
                        WHERE vendor = $1 AND in_flight > 0";
    let first = |rows: Vec<Row>| rows.into_iter().next().ok_or(sqlx::Error::RowNotFound);
    let lock = first(conn.rows(LOCK, vec![vendor.into()]).await?)?;
    let busy = first(conn.rows(BUSY, vec![vendor.into()]).await?)?;
    Ok(Purse { now: lock.int(1)?, next_at: lock.int(0)?, in_flight: busy.int(0)? })
}

impl Purse {
    /// How soon a task that found every place taken asks again; a place falls free unannounced.
    const PLACE_WAIT: Duration = Duration::from_millis(250);

    /// How many submissions may leave now, or how long none may.
    pub(crate) fn room(&self, budget: Budget) -> Result<i64, Duration> {
        let places = match budget.concurrency {
            0 => i64::MAX,
            most => i64::from(most) - self.in_flight,
        };
        if places <= 0 {
            return Err(Self::PLACE_WAIT);
        }
        let Some(interval) = interval_us(budget) else { return Ok(places) };
        // A clock that was once far ahead must not block the vendor until then.
        let next_at = self.next_at.min(self.now.saturating_add(interval));
        match u64::try_from(next_at - self.now) {
            Ok(wait) if wait > 0 => Err(Duration::from_micros(wait)),
            _ => Ok(1),
        }
    }

    /// Takes one place and one moment, or says how long to wait.
    fn spend(&mut self, budget: Budget) -> Result<(), Duration> {
        self.room(budget)?;
        if let Some(interval) = interval_us(budget) {
            self.next_at = self.now.saturating_add(interval);
        }
        self.in_flight += 1;
        Ok(())
    }
}

/// The distance of submissions, evenly spaced: vendors meter a minute's rate by the second.
fn interval_us(budget: Budget) -> Option<i64> {
    (budget.rate_per_min > 0).then(|| 60_000_000 / i64::from(budget.rate_per_min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_spaces_and_counts() {
        let mut purse = Purse { now: 1_000, next_at: 0, in_flight: 0 };
        let rate = Budget { concurrency: 0, rate_per_min: 60 };
        assert_eq!(purse.spend(rate), Ok(()));
        assert_eq!(purse.spend(rate), Err(Duration::from_secs(1)));
        purse.next_at = i64::MAX;
        assert_eq!(purse.spend(rate), Err(Duration::from_secs(1)), "a clock once far ahead does not block for ever");
        let places = Budget { concurrency: 1, rate_per_min: 0 };
        assert!(purse.spend(places).is_err(), "one is in flight already");
    }
}
