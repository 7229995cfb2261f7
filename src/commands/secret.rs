//! `ccrun secret`: the keyring's entries, by their names. No value is ever printed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use comfy_table::{Table, presets};
use serde_json::json;

use super::{complain, print, refuse_inside_claude, run};
use crate::cli::{self, SecretCommand};
use crate::credential::Secret;
use crate::credential::keyring::{self, Entries, MAXIMUM_SECRET};
use crate::printable::{printable, visible};
use crate::profile::Config;
use crate::setting::Setting;
use crate::surroundings::{Places, Surroundings};

pub(super) fn run(command: SecretCommand, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("secret", surroundings) {
        return Ok(refusal);
    }
    let (setting, config) = Setting::gather(surroundings)?;
    let mentioned = || mentioned(&setting, &config, surroundings);
    match command {
        SecretCommand::Set { name } => set(&name, &setting, &mentioned()),
        SecretCommand::List { json } => list(&mentioned(), &setting, json),
        SecretCommand::Remove { name } => {
            keyring::remove(&name, setting.ground()).map_err(|fault| failure(&name, &fault))?;
            print(&format!("removed `{}`\n", printable(&name)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The entries that are named somewhere, and which profiles do.
type Mentioned = BTreeMap<String, Vec<String>>;

/// Those of all profiles, and of the project's file that applies here.
fn mentioned(setting: &Setting, config: &Config, surroundings: &Surroundings) -> Mentioned {
    let mut mentioned = Mentioned::new();
    let mut note = |profile: &str, entries: BTreeSet<String>| {
        for entry in entries {
            mentioned.entry(entry).or_default().push(profile.to_owned());
        }
    };
    for (profile, _) in setting.profiles() {
        // What is wrong with one is told by `profile check`, at length.
        note(&profile, setting.keyring_entries(&profile).unwrap_or_default());
    }
    if let Ok(Some(project)) = setting.project(&run::selection(cli::Launch::default(), surroundings), config) {
        note(&Places::shortened(&project.path), project.keyring_entries());
    }
    mentioned
}

fn set(name: &str, setting: &Setting, mentioned: &Mentioned) -> Result<ExitCode> {
    let shown = printable(name);
    let secret = read(&format!("Secret for `{shown}` (it is not shown): "))?;
    keyring::set(name, secret, setting.ground()).map_err(|fault| failure(name, &fault))?;
    let unused = if mentioned.contains_key(name) { "" } else { "; no profile mentions it yet" };
    print(&format!("stored `{shown}`{unused}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A secret, asked for on the terminal without showing it, or one line of stdin.
pub(super) fn read(question: &str) -> Result<Secret> {
    let secret = if io::stdin().is_terminal() {
        rpassword::prompt_password(question).context("cannot read the terminal")?
    } else {
        one_line(io::stdin().lock())?
    };
    check(&secret)?;
    Ok(Secret(secret))
}

/// What is on stdin, without the line break at its end.
fn one_line(input: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    // One byte too many says that there is more, a line break besides.
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
        bail!("nothing was stored: the secret is one line without control characters");
    }
    Ok(())
}

fn failure(name: &str, fault: &keyring::Fault) -> anyhow::Error {
    anyhow!("the keyring's {} {fault}", printable(name))
}

/// One line about each entry, whether or not the keyring can be asked.
fn list(mentioned: &Mentioned, setting: &Setting, as_json: bool) -> Result<ExitCode> {
    let (entries, trouble) = match keyring::list(mentioned.keys().cloned().collect(), setting.ground()) {
        Ok(Entries { names, incomplete }) => (Some(names), incomplete),
        Err(fault) => (None, Some(format!("the keyring {fault}"))),
    };
    let is_there = |name: &str| entries.as_ref().map(|entries| entries.contains(name));
    let names: BTreeSet<_> = mentioned.keys().chain(entries.iter().flatten()).collect();
    let profiles = |name: &str| mentioned.get(name).map(Vec::as_slice).unwrap_or_default();
    if as_json {
        let entry = |name: &&String| json!({ "name": name, "there": is_there(name), "profiles": profiles(name) });
        let listed: Vec<_> = names.iter().map(entry).collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&listed)?))?;
    } else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["NAME", "THERE", "PROFILES"]);
        for name in names {
            let there = is_there(name).map_or("?", |is_there| if is_there { "yes" } else { "no" });
            table.add_row([&printable(name), there, &visible(&profiles(name).join(", "))]);
        }
        print(&format!("{table}\n"))?;
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
    fn stdin_gives_one_line() {
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
