//! The budgets of a launch as its status line takes them: one word of a command line, so that a status line does not
//! have to resolve the profile again.

use std::collections::BTreeSet;

use jiff::Zoned;
use serde::{Deserialize, Serialize};

use super::{Here, Standing, of_launch, spend, strictest};
use crate::profile::{Budget, Period, Profile, Scope};
use crate::report::SourceError;
use crate::report::ledger::LedgerSource;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;

/// The limits that count, and whose spend they limit. Every user of the machine can read command lines, so they
/// do not include the person that the profile names: the ledger knows who uses this profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Each with its limit in billionths of a US dollar.
    limits: Vec<(Period, Scope, i64)>,
    project: Option<String>,
    branch: Option<String>,
    team: Option<String>,
    profile: Option<String>,
    user: Option<String>,
    persons: bool,
}

impl Watched {
    /// Those of a launch, if a budget applies.
    pub fn of(profile: &Profile, workspace: &Workspace, process: &ProcessEnvironment) -> Option<Self> {
        let budgets = strictest(&profile.budgets);
        let limits: Vec<_> = budgets.iter().map(|budget| (budget.period, budget.per, budget.limit)).collect();
        if limits.is_empty() {
            return None;
        }
        let Here { project, branch, team, profile, user, has_persons, .. } = of_launch(profile, workspace, process);
        Some(Self { limits, project, branch, team, profile, user, persons: has_persons })
    }

    /// The word on the command line.
    pub fn word(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The budgets of a [`word`](Self::word); `None` if it is none.
    pub fn read(word: &str) -> Option<Self> {
        serde_json::from_str(word).ok()
    }

    /// How they stand, without a forecast, for one of Claude Code's sessions.
    pub fn standings(
        self,
        source: &LedgerSource<'_>,
        session: &str,
        now: &Zoned,
    ) -> Result<Vec<Standing>, SourceError> {
        let Self { limits, project, branch, team, profile, user, persons } = self;
        let budget = |(period, per, limit)| Budget {
            period,
            limit,
            per,
            warn: BTreeSet::new(),
            stop: false,
            notify: Vec::new(),
            origin: String::new(),
        };
        let budgets: Vec<_> = limits.into_iter().map(budget).collect();
        let here = Here {
            claude_session: Some(session.to_owned()).filter(|session| !session.is_empty()),
            project,
            branch,
            team,
            profile,
            user,
            has_persons: persons,
            ..Here::default()
        };
        spend::spent(source, &budgets, &here, now)
    }
}
