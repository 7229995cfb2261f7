//! A budget and the spend in its current period.

use jiff::Timestamp;

use crate::profile::Budget;

/// How a budget stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The budget.
    pub budget: Budget,
    /// Whose spend counts: the name of the person, the project or another scope. `None` if unknown; then usage for
    /// which it is unknown counts.
    pub of: Option<String>,
    /// The spend in the period so far, in billionths of a US dollar: Claude Code's own estimate.
    pub spend: i64,
    /// The expected spend at the end of the period, in billionths of a US dollar; `None` if nothing can be said yet.
    pub forecast: Option<i64>,
    /// When the period began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Until when the budget is lifted, if it is.
    pub lifted_until: Option<Timestamp>,
}

impl Standing {
    /// The spend in percent of the limit, rounded down.
    pub fn percent(&self) -> i64 {
        let percent = i128::from(self.spend.max(0)) * 100 / i128::from(self.budget.limit.max(1));
        i64::try_from(percent).unwrap_or(i64::MAX)
    }

    /// The highest percentage to warn at that the spend has reached.
    pub fn tier(&self) -> Option<u16> {
        self.budget.warn.iter().copied().rev().find(|tier| self.percent() >= i64::from(*tier))
    }

    /// Whether the budget lets no work begin now.
    pub fn stops(&self) -> bool {
        self.budget.stop && self.spend >= self.budget.limit && self.lifted_until.is_none()
    }

    /// Adds spend that the ledger does not have yet, in billionths of a US dollar.
    pub fn add(&mut self, spend: i64) {
        self.spend = self.spend.saturating_add(spend.max(0));
    }
}
