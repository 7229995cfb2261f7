//! Collects what a backend needs: from options, the terminal and stdin. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use super::print;
use crate::cli::{self, Choices};
use crate::commands::secret;
use crate::environment::quoting;
use crate::profile::{Declaration, Need, Selection, backends, check_name, needs, variables_of};
use crate::secret::keyring::Presence;
use crate::secret::{Secret, keyring};
use crate::state::Places;
use crate::terminal::printable::{printable, visible};
use crate::terminal::prompt;
use crate::workspace::Workspace;

/// The longest value of a variable, in bytes.
const MAXIMUM_VALUE: u64 = 4096;

/// Everything that setup needs.
#[derive(Debug)]
pub(super) struct SetupAnswers {
    backend: String,
    /// The profile's name.
    pub(super) name: String,
    variables: BTreeMap<String, String>,
    /// Keyring entries to store.
    pub(super) secrets: Vec<(String, Secret)>,
    /// Keyring entries that the profile takes its keys from, each with what it is.
    keys: Vec<(String, String)>,
    /// Choices made by options.
    pub(super) choices: Choices,
}

impl SetupAnswers {
    /// The text of the profile, or `None` if the backend's own profile is enough.
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

    /// Asks whether to type the keys again, and for them, after the backend has rejected them. No where there is no
    /// terminal to ask on, or no key in the keyring.
    pub(super) fn type_keys_again(&mut self) -> Result<bool> {
        if self.keys.is_empty() || !prompt::is_possible() || !prompt::ask("Type the key again? [y/N] ")? {
            return Ok(false);
        }
        self.secrets.clear();
        for (entry, hint) in &self.keys {
            self.secrets.push((entry.clone(), ask_for_key(hint)?));
        }
        Ok(true)
    }

    /// The command that sets all of this up again, with a further option.
    pub(super) fn command(&self, option: &str) -> String {
        let name = (self.name != self.backend).then(|| ["--name".to_owned(), self.name.clone()]);
        let variables = self.variables.iter().flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={value}")]);
        let words = name.into_iter().flatten().chain(variables).map(|word| format!(" {}", quoting::word(&word)));
        format!("ccrun setup {}{} {option}", self.backend, words.collect::<String>())
    }
}

/// Asks for everything that is needed and not given by options.
pub(super) fn gather(backend: &str, options: &cli::Setup, workspace: &Workspace) -> Result<SetupAnswers> {
    if !backends().any(|known| known == backend) {
        let known: Vec<_> = backends().collect();
        bail!("there is no backend `{}`: {}", printable(backend), known.join(", "));
    }
    let name = options.name.clone().unwrap_or_else(|| backend.to_owned());
    check_name(&name).map_err(|reason| anyhow!("`{}` is not a valid profile name: {reason}", printable(&name)))?;
    let path = super::profile::file(&workspace.places, &name)?;
    if path.exists() && !options.replace {
        let shown = visible(&Places::shortened(&path));
        bail!("{shown} already exists: `--replace` overwrites it, `--name` creates another");
    }
    let chosen =
        Selection { profiles: vec![backend.to_owned()], variables: options.variables.clone(), ..Selection::default() };
    workspace.check_variables(&chosen)?;
    let mut variables: BTreeMap<_, _> = options.variables.iter().cloned().collect();
    for declared in variables_of(backend).unwrap_or_default() {
        if !variables.contains_key(&declared.name)
            && let Some(value) = variable(&declared)?
        {
            variables.insert(declared.name, value);
        }
    }
    let (mut secrets, mut keys) = (Vec::new(), Vec::new());
    for need in needs(backend).unwrap_or_default() {
        let Need::Secret { entry, variable, hint } = need else { continue };
        match key(&entry, variable.as_deref(), &hint, options.replace, workspace)? {
            Key::InTheEnvironment => {}
            Key::InTheKeyring => keys.push((entry, hint)),
            Key::Typed(secret) => {
                secrets.push((entry.clone(), secret));
                keys.push((entry, hint));
            }
        }
    }
    Ok(SetupAnswers { backend: backend.to_owned(), name, variables, secrets, keys, choices: options.choices })
}

/// The value of a variable; nothing where its default is to stand.
fn variable(declared: &Declaration) -> Result<Option<String>> {
    let (name, hint) = (&declared.name, declared.about());
    if !prompt::is_possible() {
        return match declared.default {
            Some(_) => Ok(None),
            None => bail!("`{name}` is required: `--var {name}=VALUE` ({hint})"),
        };
    }
    let default = declared.default.as_deref().map(|default| format!(" [{}]", printable(default))).unwrap_or_default();
    loop {
        write!(io::stderr(), "{name} ({hint}){default}: ")?;
        let mut line = Vec::new();
        let length = io::Read::take(io::stdin().lock(), MAXIMUM_VALUE).read_until(b'\n', &mut line)?;
        if length == 0 {
            bail!("nothing was set up: `{name}` is required");
        }
        let value = String::from_utf8(line).map_err(|_| anyhow!("`{name}` is not UTF-8"))?.trim().to_owned();
        if value.is_empty() && declared.default.is_some() || declared.default.as_ref() == Some(&value) {
            return Ok(None);
        }
        if declared.values.is_empty() || declared.values.contains(&value) {
            if !value.is_empty() {
                return Ok(Some(value));
            }
        } else if !value.is_empty() {
            writeln!(io::stderr(), "`{}` is not allowed: type {}", printable(&value), declared.values.join(", "))?;
        }
    }
}

/// Where a key is.
enum Key {
    /// In a variable of the environment.
    InTheEnvironment,
    /// In the keyring, where it was before.
    InTheKeyring,
    /// It was typed, and is to be stored.
    Typed(Secret),
}

fn ask_for_key(hint: &str) -> Result<Secret> {
    secret::read(&format!("{hint} (input is hidden): ")).context("nothing was set up")
}

/// Finds a key, or asks for it.
fn key(entry: &str, variable: Option<&str>, hint: &str, replace: bool, workspace: &Workspace) -> Result<Key> {
    if let Some(variable) = variable.filter(|variable| workspace.variable(variable).is_some()) {
        print(&format!("{hint}: taken from {variable} while it is set\n"))?;
        return Ok(Key::InTheEnvironment);
    }
    let otherwise = variable.map(|variable| format!("; or set {variable} to the key and try again"));
    let unavailable = |fault: keyring::Fault| {
        anyhow!("nothing was set up: the keyring {}{}", visible(&fault.to_string()), otherwise.unwrap_or_default())
    };
    let there = keyring::look(BTreeSet::from([entry.to_owned()]), workspace.context()).map_err(unavailable)?;
    if !replace && there.get(entry).is_some_and(|presence| *presence != Presence::Absent) {
        print(&format!("{hint}: already in the keyring as `{}` (`--replace` asks for a new one)\n", printable(entry)))?;
        return Ok(Key::InTheKeyring);
    }
    ask_for_key(hint).map(Key::Typed)
}
