//! Whether Claude Code runs hooks, and which: options, variables, settings and administrators may keep it from that.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::{Map, Value, json};

use crate::claude::{SettingsFile, options};
use crate::environment;
use crate::otlp::Pattern;

/// Who asks the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Caller {
    /// Claude Code itself, by a request. It starts no process.
    Client,
    /// The verb `hook`, which Claude Code runs where it may send no request.
    Verb,
}

/// Everything that decides about hooks.
#[derive(Clone, Copy, Debug)]
pub struct Obstacles<'a> {
    /// Claude Code's arguments.
    pub arguments: &'a [OsString],
    /// The settings from `--settings` and the profile.
    pub given: &'a Map<String, Value>,
    /// Claude Code's own settings files, in increasing order of precedence.
    pub files: &'a [SettingsFile],
    /// The environment.
    pub variables: &'a BTreeMap<String, String>,
}

/// The setting that turns all hooks off.
const SWITCH: &str = "disableAllHooks";

/// The setting that restricts requests by hooks to some URLs.
pub(in crate::claude) const URLS: &str = "allowedHttpHookUrls";

/// The managed setting that allows hooks only in plugins.
pub(in crate::claude) const PLUGINS: &str = "strictPluginOnlyCustomization";

/// Options that turn hooks off, and the variables that do the same.
const MODES: [(&str, &str); 2] = [("--bare", "CLAUDE_CODE_SIMPLE"), ("--safe-mode", "CLAUDE_CODE_SAFE_MODE")];

impl Obstacles<'_> {
    /// Who asks the collector at this URL, or what keeps Claude Code from running hooks.
    pub fn caller(&self, url: &str) -> Result<Caller, String> {
        if let Some(what) = self.mode().or_else(|| self.switch()).or_else(|| self.administrator()) {
            return Err(what);
        }
        let is_direct = self.allows(url) && self.is_without_a_proxy();
        Ok(if is_direct { Caller::Client } else { Caller::Verb })
    }

    fn mode(&self) -> Option<String> {
        let has = |option| options(self.arguments).any(|word| word == option);
        MODES.into_iter().find_map(|(option, variable)| {
            let is_set = || self.variables.get(variable).is_some_and(|value| !["", "0", "false"].contains(&&**value));
            if has(option) { Some(format!("`{option}`")) } else { is_set().then(|| format!("the variable {variable}")) }
        })
    }

    /// Managed settings override those that are given, which override the other files.
    fn switch(&self) -> Option<String> {
        let last = |managed| {
            let mut files = self.files.iter().rev().filter(move |file| file.managed == managed);
            files.find_map(|file| Some((file, file.scalars.get(SWITCH)?)))
        };
        let of_file = |(file, value): (&SettingsFile, &Value)| {
            (*value == json!(true)).then(|| format!("`{SWITCH}` in `{}`", file.path.display()))
        };
        match (last(true), self.given.get(SWITCH)) {
            (Some(found), _) => of_file(found),
            (None, Some(value)) => {
                (*value == json!(true)).then(|| format!("`{SWITCH}` in the settings given to Claude Code"))
            }
            (None, None) => last(false).and_then(of_file),
        }
    }

    fn administrator(&self) -> Option<String> {
        const ONLY: &str = "allowManagedHooksOnly";
        let mut managed = self.files.iter().filter(|file| file.managed);
        managed.find_map(|file| {
            let is_only = file.scalars.get(ONLY) == Some(&json!(true));
            let key = if is_only { ONLY } else { Some(PLUGINS).filter(|_| file.plugins_only)? };
            Some(format!("`{key}` in `{}`", file.path.display()))
        })
    }

    /// Whether the settings allow requests to a URL. Lists of several files are joined; those of administrators alone
    /// must allow it as well.
    fn allows(&self, url: &str) -> bool {
        let given = self
            .given
            .get(URLS)
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
        let managed = self.files.iter().filter(|file| file.managed).filter_map(|file| file.hook_urls.as_ref());
        let all = self.files.iter().filter_map(|file| file.hook_urls.as_ref()).chain(given.as_ref());
        let allow = |lists: Vec<&Vec<String>>| {
            let matches = |pattern: &String| Pattern::new(pattern).matches(url.as_bytes());
            lists.is_empty() || lists.iter().any(|list| list.iter().any(matches))
        };
        allow(managed.collect()) && allow(all.collect())
    }

    /// Whether requests to this machine reach it without a proxy. Only administrators can undo what our settings say.
    fn is_without_a_proxy(&self) -> bool {
        let managed = || self.files.iter().filter(|file| file.managed);
        let hides = |name: &str| {
            let list = managed().filter_map(|file| file.variables.get(name)).next_back();
            list.is_some_and(|list| !environment::spares_loopback(list))
        };
        !environment::EXCEPTIONS.into_iter().any(hides)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const URL: &str = "http://127.0.0.1:4711/hook";

    fn file(managed: bool, scalars: &Value) -> SettingsFile {
        let scalars = scalars.as_object().unwrap().clone().into_iter().collect();
        SettingsFile { path: PathBuf::from("/s.json"), managed, scalars, ..SettingsFile::default() }
    }

    fn caller(words: &[&str], given: &Value, files: &[SettingsFile]) -> Result<Caller, String> {
        let arguments: Vec<_> = words.iter().map(OsString::from).collect();
        let given = given.as_object().unwrap();
        Obstacles { arguments: &arguments, given, files, variables: &BTreeMap::new() }.caller(URL)
    }

    #[test]
    fn options_variables_and_settings_turn_hooks_off() {
        let none = json!({});
        assert_eq!(caller(&["-p", "--", "--bare"], &none, &[]), Ok(Caller::Client));
        assert_eq!(caller(&["--bare"], &none, &[]).unwrap_err(), "`--bare`");
        assert_eq!(caller(&["--safe-mode"], &none, &[]).unwrap_err(), "`--safe-mode`");
        let variables = [("CLAUDE_CODE_SIMPLE".to_owned(), "1".to_owned())].into();
        let given = Map::new();
        let obstacles = Obstacles { arguments: &[], given: &given, files: &[], variables: &variables };
        assert_eq!(obstacles.caller(URL).unwrap_err(), "the variable CLAUDE_CODE_SIMPLE");
        let (on, off) = (json!({"disableAllHooks": true}), json!({"disableAllHooks": false}));
        let own = file(false, &on);
        assert_eq!(caller(&[], &none, std::slice::from_ref(&own)).unwrap_err(), "`disableAllHooks` in `/s.json`");
        assert_eq!(caller(&[], &none, &[own.clone(), file(false, &off)]), Ok(Caller::Client));
        assert_eq!(caller(&[], &off, &[own]), Ok(Caller::Client));
        assert!(caller(&[], &on, &[]).unwrap_err().ends_with("in the settings given to Claude Code"));
        assert!(caller(&[], &off, &[file(true, &on)]).is_err() && caller(&[], &on, &[file(true, &off)]).is_ok());
    }

    #[test]
    fn administrators_may_forbid_hooks_of_others() {
        let only = json!({"allowManagedHooksOnly": true});
        assert_eq!(caller(&[], &json!({}), &[file(true, &only)]).unwrap_err(), "`allowManagedHooksOnly` in `/s.json`");
        assert_eq!(caller(&[], &json!({}), &[file(false, &only)]), Ok(Caller::Client), "it is a managed setting");
        let plugins = SettingsFile { plugins_only: true, ..file(true, &json!({})) };
        assert!(caller(&[], &json!({}), &[plugins]).unwrap_err().starts_with("`strictPluginOnlyCustomization`"));
    }

    #[test]
    fn the_verb_asks_if_requests_are_not_allowed_or_pass_a_proxy() {
        let urls = |managed, list: &[&str]| SettingsFile {
            hook_urls: Some(list.iter().map(|url| (*url).to_owned()).collect()),
            ..file(managed, &json!({}))
        };
        let caller = |files: &[SettingsFile]| caller(&[], &json!({}), files).unwrap();
        for managed in [false, true] {
            assert_eq!(caller(&[urls(managed, &[])]), Caller::Verb);
            assert_eq!(caller(&[urls(managed, &["https://corp/*"])]), Caller::Verb);
            assert_eq!(caller(&[urls(managed, &["https://corp/*", "http://127.0.0.1:*"])]), Caller::Client);
        }
        assert_eq!(caller(&[urls(false, &["http://127.0.0.1:*"]), urls(true, &["https://corp/*"])]), Caller::Verb);
        let exceptions = |list: &str| {
            let variables = [("NO_PROXY".to_owned(), list.to_owned())].into();
            SettingsFile { variables, ..file(true, &json!({})) }
        };
        assert_eq!(caller(&[exceptions("corp")]), Caller::Verb);
        assert_eq!(caller(&[exceptions("corp,127.0.0.1")]), Caller::Client);
        assert_eq!(caller(&[exceptions("*")]), Caller::Client);
    }

    #[test]
    fn patterns_have_wildcards() {
        for pattern in ["*", URL, "http://127.0.0.1:*", "http://*/hook", "http://127.*:4711*k", "*hook*"] {
            assert!(Pattern::new(pattern).matches(URL.as_bytes()), "{pattern}");
        }
        for pattern in ["", "https://*", "http://127.0.0.1", "http://*/hooks", "*hook*hook*"] {
            assert!(!Pattern::new(pattern).matches(URL.as_bytes()), "{pattern}");
        }
    }
}
