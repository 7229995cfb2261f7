//! `ccrun stand-in-model`: a model for `scripts/demo.sh`, so that a session costs nothing and needs no account.

use std::io::{self, Read};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::print;
use crate::doctor::live::model::{Model, Script, Usage};

/// The answer to every question.
const TEXT: &str = "Hi! I am a stand-in for the model.";

/// The usage that each answer reports, in tokens.
const USAGE: Usage = Usage { input: 1200, output: 40, cache_read: 300, cache_creation: 50 };

/// Answers requests until standard input is closed.
pub(super) fn run() -> Result<ExitCode> {
    let model = Model::start(Script::text(TEXT).usage(USAGE)).context("cannot serve on this machine")?;
    print(&format!("{}\n", model.url()))?;
    io::stdin().lock().read_to_end(&mut Vec::new()).context("cannot read stdin")?;
    Ok(ExitCode::SUCCESS)
}
