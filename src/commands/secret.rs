//! `ccrun secret`: manages keyring entries by name. No value is ever printed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use super::selection::selection;
use super::waiting::waiting;
use super::{complain, gather, print, print_json, refuse_inside_claude};
use crate::cli::{self, SecretCommand};
use crate::secret::keyring::{Entries, MAXIMUM_SECRET};
use crate::secret::{Secret, keyring};
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::{printable, visible};
use crate::terminal::table::{Column, Table};
use crate::workspace::{Config, Workspace};

pub(super) fn run(command: SecretCommand, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("secret", process) {
        return Ok(refusal);
    }
    let (workspace, config) = gather(process)?;
    let mentioned = || mentioned(&workspace, &config, process);
    match command {
        SecretCommand::Set { name } => set(&name, &workspace, &mentioned()),
        SecretCommand::List { json } => list(&mentioned(), &workspace, json),
        SecretCommand::Remove { name } => {
            waiting("the keyring", || keyring::remove(&name, workspace.context()))
                .map_err(|fault| failure(&name, &fault))?;
            print(&format!("removed `{}`\n", printable(&name)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Entries, and the profiles that mention each.
type Mentioned = BTreeMap<String, Vec<String>>;

/// The entries that any profile or the project file here mentions.
fn mentioned(workspace: &Workspace, config: &Config, process: &ProcessEnvironment) -> Mentioned {
    let mut mentioned = Mentioned::new();
    let mut note = |profile: &str, entries: BTreeSet<String>| {
        for entry in entries {
            mentioned.entry(entry).or_default().push(profile.to_owned());
        }
    };
    for (profile, _) in workspace.profiles() {
        // `profile check` explains faults in full.
        note(&profile, workspace.keyring_entries(&profile).unwrap_or_default());
    }
    if let Ok(Some(project)) = workspace.project(&selection(cli::Launch::default(), process), config) {
        note(&Places::shortened(&project.path), project.keyring_entries());
    }
    mentioned
}

fn set(name: &str, workspace: &Workspace, mentioned: &Mentioned) -> Result<ExitCode> {
    let shown = printable(name);
    let secret = read(&format!("Secret for `{shown}` (input is hidden): "))?;
    waiting("the keyring", || keyring::set(name, secret, workspace.context()))
        .map_err(|fault| failure(name, &fault))?;
    let unused = if mentioned.contains_key(name) { "" } else { "; no profile uses it yet" };
    print(&format!("stored `{shown}`{unused}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a secret from the terminal without echo, or one line of stdin.
pub(super) fn read(question: &str) -> Result<Secret> {
    let secret = if io::stdin().is_terminal() {
        rpassword::prompt_password(question).context("cannot read the terminal")?
    } else {
        one_line(io::stdin().lock())?
    };
    check(&secret)?;
    Ok(Secret::from(secret))
}

/// Reads stdin, without the line break at its end.
fn one_line(input: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    // Reads one byte more than the maximum and a line break, to detect longer input.
    input.take(MAXIMUM_SECRET as u64 + 3).read_to_end(&mut bytes).context("cannot read stdin")?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("the secret on stdin is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn check(secret: &str) -> Result<()> {
    if secret.is_empty() {
        bail!("nothing was stored: the secret is empty");
    }
    if secret.len() > MAXIMUM_SECRET {
        bail!("nothing was stored: the secret is longer than {} KiB", MAXIMUM_SECRET / 1024);
    }
    if secret.chars().any(char::is_control) {
        bail!("nothing was stored: the secret must be one line without control characters");
    }
    Ok(())
}

fn failure(name: &str, fault: &keyring::Fault) -> anyhow::Error {
    anyhow!("the keyring's {} {fault}", printable(name))
}

/// Lists all entries, even if the keyring is unavailable.
fn list(mentioned: &Mentioned, workspace: &Workspace, as_json: bool) -> Result<ExitCode> {
    let (entries, trouble) =
        match waiting("the keyring", || keyring::list(mentioned.keys().cloned().collect(), workspace.context())) {
            Ok(Entries { names, incomplete }) => (Some(names), incomplete),
            Err(fault) => (None, Some(format!("the keyring {fault}"))),
        };
    let is_there = |name: &str| entries.as_ref().map(|entries| entries.contains(name));
    let names: BTreeSet<_> = mentioned.keys().chain(entries.iter().flatten()).collect();
    let profiles = |name: &str| mentioned.get(name).map(Vec::as_slice).unwrap_or_default();
    if as_json {
        let entry = |name: &&String| json!({ "name": name, "there": is_there(name), "profiles": profiles(name) });
        let listed: Vec<_> = names.iter().map(entry).collect();
        print_json(&listed)?;
    } else {
        let mut table = Table::new([Column::name("NAME"), Column::word("STORED"), Column::prose("PROFILES")]);
        for name in names {
            let there = is_there(name).map_or("?", |is_there| if is_there { "yes" } else { "no" });
            table.push([printable(name), there.to_owned(), visible(&profiles(name).join(", "))]);
        }
        print(&table.text(terminal::width(&io::stdout())))?;
    }
    if let Some(trouble) = trouble {
        complain(&visible(&trouble));
    }
    Ok(if entries.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_line_is_read_from_stdin() {
        let read = |text: &str| one_line(text.as_bytes()).unwrap();
        for text in ["sk-1", "sk-1\n", "sk-1\r\n"] {
            assert_eq!(read(text), "sk-1");
        }
        for (text, reason) in
            [("\n", "empty"), ("", "empty"), ("a\nb\n", "one line"), ("a\n\n", "one line"), ("\u{1b}[A", "one line")]
        {
            let refusal = check(&read(text)).unwrap_err().to_string();
            assert!(refusal.contains(reason) && !refusal.contains('a'.to_string().repeat(9).as_str()), "{refusal}");
        }
        let longest = "x".repeat(MAXIMUM_SECRET);
        assert!(check(&read(&format!("{longest}\r\n"))).is_ok());
        assert!(check(&read(&format!("{longest}x"))).unwrap_err().to_string().contains("longer than 16 KiB"));
        assert!(one_line(&b"\xff"[..]).is_err());
    }
}
