//! Checks what `ccrun wire` has written into other programs' settings.

use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::{Check, Finding, Group, Subject};
use crate::profile::{Faults, Selection};
use crate::state::Places;
use crate::wiring::{Edit, Record, Records, Target};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "wiring.files", group: Group::Wiring, look: files },
    Check { id: "wiring.wrapper", group: Group::Wiring, look: wrapper },
    Check { id: "wiring.profile", group: Group::Wiring, look: profile },
];

/// The findings about wired files, one for each file.
fn all(subject: &Subject) -> (Records, Vec<Record>) {
    let records = Records::look(subject.workspace.places.wired());
    let targets = [Target::Code, Target::Claude, Target::StatusLine].into_iter();
    let paths = targets.flat_map(|target| records.all(target).into_iter().map(move |path| (path, target)));
    let found = paths.filter_map(|(path, target)| records.of(&path, target)).collect();
    (records, found)
}

/// Whether each file still contains what was written.
fn files(subject: &Subject) -> Vec<Finding> {
    let finding = |record: &Record| {
        let file = Places::shortened(&record.path);
        let (verb, again) = verbs(record.target);
        if !record.path.exists() {
            let what = format!("{file} was wired and is not there any more");
            return Finding::warning(what).fix(format!("`{verb}` writes it again, `{again}` forgets it"));
        }
        match Edit::missing(record) {
            Err(error) => Finding::warning(format!("{file} was wired and cannot be read: {error:#}"))
                .fix("correct the file: until then the program that it belongs to may ignore all of it"),
            Ok(missing) if missing.is_empty() => Finding::ok(format!("{file} is wired")),
            Ok(missing) => {
                let missing: Vec<_> = missing.iter().map(|spot| format!("`{spot}`")).collect();
                let what = format!("{file} was wired, and has something else at {} by now", missing.join(", "));
                Finding::warning(what).fix(format!("`{verb}` puts it back, `{again}` takes the rest out"))
            }
        }
    };
    all(subject).1.iter().map(finding).collect()
}

/// The commands that wire a target's file and undo it.
fn verbs(target: Target) -> (&'static str, &'static str) {
    match target {
        Target::Code => ("ccrun wire code", "ccrun unwire code"),
        Target::Claude => ("ccrun wire claude", "ccrun unwire claude"),
        Target::StatusLine => ("ccrun wire statusline", "ccrun unwire statusline"),
    }
}

/// Editors start Claude through the link. Without its target they have no Claude.
fn wrapper(subject: &Subject) -> Vec<Finding> {
    let (records, found) = all(subject);
    if !found.iter().any(|record| record.target == Target::Code) {
        return Vec::new();
    }
    let link = records.link();
    let leads = std::fs::read_link(&link);
    let runs = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    let what = match leads {
        Ok(program) if runs(&program) => {
            return vec![Finding::ok(format!("wired editors start {}", Places::shortened(&program)))];
        }
        Ok(program) => format!("wired editors start {}, which cannot be run", Places::shortened(&program)),
        Err(_) => format!("wired editors start {}, which is not there", Places::shortened(&link)),
    };
    vec![Finding::failed(format!("{what}: their Claude does not start")).fix("`ccrun wire code` sets it right")]
}

/// A profile that an editor's settings choose for all windows.
fn profile(subject: &Subject) -> Vec<Finding> {
    let (_, found) = all(subject);
    let chosen = found.iter().filter_map(|record| {
        let name = record.pieces.iter().find_map(|piece| piece.variable("CCRUN_PROFILE"))?;
        Some((record, name.to_owned()))
    });
    let finding = |(record, name): (&Record, String)| {
        let selection = Selection { profiles: vec![name.clone()], ..Selection::default() };
        let Faults(faults) = subject.workspace.resolve(&selection, &subject.config).err()?;
        let reason = faults.first().map(|fault| format!(": {}", fault.message)).unwrap_or_default();
        let what =
            format!("{} chooses the profile `{name}`, which cannot be used{reason}", Places::shortened(&record.path));
        Some(Finding::warning(what).fix("`ccrun wire code -p NAME` chooses another"))
    };
    chosen.filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::doctor::Level;
    use crate::wiring::entry::{self, Entry};
    use crate::wiring::jsonc::Spot;

    /// A subject with wired editor settings, and the path of those settings.
    fn wired(root: &Path, name: &str) -> (Subject, PathBuf) {
        let subject = Subject::below(root);
        let path = root.join("settings.json");
        let entries = [
            Entry { spot: Spot::Key("wrapper".to_owned()), value: json!("/w") },
            Entry { spot: Spot::In("variables".to_owned()), value: json!({"name": "CCRUN_PROFILE", "value": name}) },
        ];
        let (text, pieces) = entry::wire("{}\n", &entries).unwrap();
        std::fs::write(&path, &text).unwrap();
        let path = path.canonicalize().unwrap();
        let records = Records::open(subject.workspace.places.wired()).unwrap();
        records.keep(&Record::new(Target::Code, path.clone(), true, pieces, text.as_bytes()), b"{}\n").unwrap();
        (subject, path)
    }

    #[test]
    fn nothing_is_reported_without_wiring() {
        let directory = tempfile::tempdir().unwrap();
        let subject = Subject::below(directory.path());
        assert!(files(&subject).is_empty() && wrapper(&subject).is_empty() && profile(&subject).is_empty());
    }

    #[test]
    fn wired_editors_are_reported_with_their_state() {
        let directory = tempfile::tempdir().unwrap();
        let (subject, path) = wired(directory.path(), "local");
        let said = |subject: &Subject| {
            let found = files(subject);
            assert_eq!(found.len(), 1);
            (found[0].level, found[0].summary.clone())
        };
        assert!(matches!(said(&subject), (Level::Ok, summary) if summary.ends_with("settings.json is wired")));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("/w", "/mine")).unwrap();
        let (level, summary) = said(&subject);
        assert!(level == Level::Warning && summary.contains("something else at `wrapper` by now"), "{summary}");
        std::fs::write(&path, "{ broken").unwrap();
        assert!(said(&subject).1.contains("cannot be read"), "{:?}", said(&subject));
        std::fs::remove_file(&path).unwrap();
        assert!(said(&subject).1.ends_with("was wired and is not there any more"));
    }

    #[test]
    fn a_missing_wrapper_and_a_missing_profile_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let (subject, _) = wired(directory.path(), "nope");
        assert_eq!(wrapper(&subject)[0].level, Level::Failed);
        let records = Records::open(subject.workspace.places.wired()).unwrap();
        records.set_link(Path::new("/bin/sh")).unwrap();
        assert_eq!(wrapper(&subject)[0].level, Level::Ok);
        records.set_link(&directory.path().join("gone")).unwrap();
        assert!(wrapper(&subject)[0].summary.contains("which cannot be run"));
        let found = profile(&subject);
        assert!(found[0].summary.contains("chooses the profile `nope`, which cannot be used: "), "{found:?}");
        // Only one change at a time is allowed.
        drop(records);
        let (subject, _) = wired(directory.path(), "local");
        assert!(profile(&subject).is_empty());
    }
}
