//! What has to be known for a backend: from options, from the terminal, from stdin. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use super::{ask, print};
use crate::cli::{self, Choices};
use crate::commands::secret;
use crate::credential::Secret;
use crate::credential::keyring::{self, Presence};
use crate::printable::{printable, visible};
use crate::profile::{Need, backends, check_name, needs};
use crate::setting::Setting;
use crate::surroundings::Places;

/// The longest value of a variable, in bytes.
const MAXIMUM_VALUE: u64 = 4096;

/// Everything that setting up needs.
#[derive(Debug)]
pub(super) struct Answers {
    backend: String,
    /// The profile's name.
    pub(super) name: String,
    variables: BTreeMap<String, String>,
    /// Entries of the keyring to be stored.
    pub(super) secrets: Vec<(String, Secret)>,
    /// What was decided beforehand.
    pub(super) choices: Choices,
}

impl Answers {
    /// What the profile's file is to say; none where the backend's own profile says all of it.
    pub(super) fn profile(&self) -> Option<String> {
        if self.name == self.backend && self.variables.is_empty() {
            return None;
        }
        let quoted = |text: &str| json!(text).to_string();
        let mut text = format!("# Written by `ccrun setup {}`.\n", self.backend);
        if self.name != self.backend {
            text.extend(["extends = ", &quoted(&self.backend), "\n"]);
        }
        if !self.variables.is_empty() {
            text.push_str("\n[vars]\n");
        }
        for (name, value) in &self.variables {
            text.extend([&quoted(name), " = ", &quoted(value), "\n"]);
        }
        Some(text)
    }
}

/// Asks for whatever is needed and not said.
pub(super) fn gather(backend: &str, options: &cli::Setup, setting: &Setting) -> Result<Answers> {
    if !backends().any(|known| known == backend) {
        let known: Vec<_> = backends().collect();
        bail!("there is no backend `{}`: {}", printable(backend), known.join(", "));
    }
    let name = options.name.clone().unwrap_or_else(|| backend.to_owned());
    check_name(&name).map_err(|reason| anyhow!("`{}` is no profile's name: {reason}", printable(&name)))?;
    let path = super::profile::file(&setting.places, &name)?;
    if path.exists() && !options.replace {
        let shown = visible(&Places::shortened(&path));
        bail!("{shown} is there already: `--replace` writes it anew, `--name` makes another");
    }
    let mut variables: BTreeMap<_, _> = options.variables.iter().cloned().collect();
    let mut secrets = Vec::new();
    for need in needs(backend).unwrap_or_default() {
        match need {
            Need::Variable { name, .. } if variables.contains_key(&name) => {}
            Need::Variable { name, hint } => {
                let value = variable(&name, &hint)?;
                variables.insert(name, value);
            }
            Need::Secret { entry, variable, hint } => {
                if let Some(secret) = key(&entry, variable.as_deref(), &hint, options.replace, setting)? {
                    secrets.push((entry, secret));
                }
            }
        }
    }
    Ok(Answers { backend: backend.to_owned(), name, variables, secrets, choices: options.choices })
}

fn variable(name: &str, hint: &str) -> Result<String> {
    if !ask::is_possible() {
        bail!("`{name}` is needed: `--var {name}=VALUE` ({hint})");
    }
    loop {
        write!(io::stderr(), "{name} ({hint}): ")?;
        let mut line = Vec::new();
        let length = io::Read::take(io::stdin().lock(), MAXIMUM_VALUE).read_until(b'\n', &mut line)?;
        if length == 0 {
            bail!("nothing was set up: `{name}` was not answered");
        }
        let value = String::from_utf8(line).map_err(|_| anyhow!("`{name}` is not UTF-8"))?.trim().to_owned();
        if !value.is_empty() {
            return Ok(value);
        }
    }
}

/// A secret that has to be stored; none where it is at hand already.
fn key(entry: &str, variable: Option<&str>, hint: &str, replace: bool, setting: &Setting) -> Result<Option<Secret>> {
    if let Some(variable) = variable.filter(|variable| setting.variable(variable).is_some()) {
        print(&format!("{hint}: from {variable}, as long as that is set\n"))?;
        return Ok(None);
    }
    let otherwise = variable.map(|variable| format!("; or put the key into {variable} and begin anew"));
    let unavailable = |fault: keyring::Fault| {
        anyhow!("nothing was set up: the keyring {}{}", visible(&fault.to_string()), otherwise.unwrap_or_default())
    };
    let there = keyring::look(BTreeSet::from([entry.to_owned()]), setting.ground()).map_err(unavailable)?;
    if !replace && there.get(entry).is_some_and(|presence| *presence != Presence::Absent) {
        print(&format!("{hint}: the keyring has it as `{}` (`--replace` asks anew)\n", printable(entry)))?;
        return Ok(None);
    }
    let asked = secret::read(&format!("{hint} (it is not shown): ")).context("nothing was set up")?;
    Ok(Some(asked))
}
