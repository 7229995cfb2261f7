//! The JSON on the status line's standard input.

use std::path::PathBuf;

use serde_json::Value;

/// The largest amount of dollars that is believed.
const MOST_DOLLARS: f64 = 1e9;

/// The largest number of tokens, lines, milliseconds and requests that is believed.
const MOST: f64 = 1e15;

/// The largest percentage that is believed. Spend may exceed its limit.
const MOST_PERCENT: f64 = 1e6;

/// How many causes of cache misses are kept.
const MOST_CAUSES: usize = 16;

/// The maximum length of a cause's name, in bytes.
const LONGEST_CAUSE: usize = 40;

/// What Claude Code reports about its session. Each value is missing if the client does not report it, or reports
/// something that cannot be true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The session's id.
    pub session: String,
    /// The session's name.
    pub name: String,
    /// The current directory.
    pub directory: Option<PathBuf>,
    /// The directory that the client was started in, where the project's settings are.
    pub project: Option<PathBuf>,
    /// The model's name for people.
    pub model: String,
    /// The effort.
    pub effort: String,
    /// The name of the linked worktree.
    pub worktree: String,
    /// The number of the branch's pull request.
    pub pull_request: Option<i64>,
    /// The running total of the session's cost, in billionths of a US dollar. It goes on over resumes.
    pub cost: Option<i64>,
    /// How long the session has lasted, in milliseconds.
    pub duration: Option<i64>,
    /// Lines added and removed.
    pub lines: [Option<i64>; 2],
    /// The context window.
    pub context: Context,
    /// The account's limits.
    pub limits: Limits,
    /// The prompt cache, after the first answer.
    pub cache: Option<Cache>,
}

/// The context window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Tokens in it.
    pub tokens: Option<i64>,
    /// Its size in tokens.
    pub window: Option<i64>,
    /// How full it is, in hundredths of a percent.
    pub used: Option<i64>,
}

/// Limits of a subscription or a gateway. Each is there while it applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of five hours.
    pub five_hour: Option<Limit>,
    /// Of seven days.
    pub seven_day: Option<Limit>,
    /// Of spend.
    pub spend: Option<Spend>,
}

/// How much of a limit is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// In hundredths of a percent.
    pub used: i64,
    /// When it is reset, in Unix seconds; zero if that is unknown.
    pub resets_at: i64,
}

/// A limit of spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    /// The share that is used.
    pub limit: Limit,
    /// The amount used and the limit, in billionths of a US dollar, if both are known.
    pub amounts: Option<[i64; 2]>,
}

/// The prompt cache of the main conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    /// The share of input that was read from it, in hundredths of a percent.
    pub hits: Option<i64>,
    /// Requests.
    pub requests: i64,
    /// Requests that did not find the prefix that they should have found.
    pub misses: i64,
    /// Tokens written again because of these.
    pub rewritten: i64,
    /// The number of misses for each cause, by the client's names.
    pub causes: Vec<(String, i64)>,
}

impl Reading {
    /// Reads the JSON. Anything but an object is an empty reading.
    pub fn of(json: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(json).unwrap_or_default();
        let (workspace, cost) = (&json["workspace"], &json["cost"]);
        let directory = [&workspace["current_dir"], &json["cwd"]].into_iter().find_map(path);
        Self {
            session: text(&json["session_id"]),
            name: text(&json["session_name"]),
            project: path(&workspace["project_dir"]).or_else(|| directory.clone()),
            directory,
            model: text(&json["model"]["display_name"]),
            effort: text(&json["effort"]["level"]),
            worktree: text(&workspace["git_worktree"]),
            pull_request: count(&json["pr"]["number"]),
            cost: dollars(&cost["total_cost_usd"]),
            duration: count(&cost["total_duration_ms"]),
            lines: [count(&cost["total_lines_added"]), count(&cost["total_lines_removed"])],
            context: context(&json["context_window"]),
            limits: limits(&json["rate_limits"]),
            cache: cache(&json["prompt_cache"]),
        }
    }
}

fn context(json: &Value) -> Context {
    Context {
        tokens: count(&json["total_input_tokens"]).filter(|tokens| *tokens > 0),
        window: count(&json["context_window_size"]).filter(|window| *window > 0),
        used: percent(&json["used_percentage"]),
    }
}

fn limits(json: &Value) -> Limits {
    let spend = &json["spend_limit"];
    let amounts = dollars(&spend["used_usd"]).zip(dollars(&spend["limit_usd"])).map(|(used, limit)| [used, limit]);
    Limits {
        five_hour: limit(&json["five_hour"]),
        seven_day: limit(&json["seven_day"]),
        spend: limit(spend).map(|limit| Spend { limit, amounts }),
    }
}

fn limit(json: &Value) -> Option<Limit> {
    let used = percent(&json["used_percentage"])?;
    Some(Limit { used, resets_at: count(&json["resets_at"]).unwrap_or_default() })
}

fn cache(json: &Value) -> Option<Cache> {
    let requests = count(&json["requests"])?;
    let is_name = |name: &str| {
        name.len() <= LONGEST_CAUSE && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let causes = json["miss_causes"].as_object().into_iter().flatten();
    let causes =
        causes.filter(|(name, _)| is_name(name)).filter_map(|(name, times)| Some((name.clone(), count(times)?)));
    Some(Cache {
        hits: scaled(&json["hit_ratio"], 10_000.0, 1.0),
        requests,
        misses: count(&json["misses"]).unwrap_or_default(),
        rewritten: count(&json["miss_recache_tokens"]).unwrap_or_default(),
        causes: causes.take(MOST_CAUSES).collect(),
    })
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn path(json: &Value) -> Option<PathBuf> {
    json.as_str().map(PathBuf::from).filter(|path| path.is_absolute())
}

/// A whole number.
fn count(json: &Value) -> Option<i64> {
    scaled(json, 1.0, MOST)
}

/// Billionths of a US dollar.
fn dollars(json: &Value) -> Option<i64> {
    scaled(json, 1e9, MOST_DOLLARS)
}

/// Hundredths of a percent.
fn percent(json: &Value) -> Option<i64> {
    scaled(json, 100.0, MOST_PERCENT)
}

/// A number of at least zero and at most `most`, multiplied and rounded.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn scaled(json: &Value, by: f64, most: f64) -> Option<i64> {
    json.as_f64().filter(|number| (0.0..=most).contains(number)).map(|number| (number * by).round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Claude Code 2.1.332 prints it after an answer, with the limits of a subscription.
    const AFTER_AN_ANSWER: &str = include_str!("answer.json");

    #[test]
    fn the_clients_json_is_read() {
        let reading = Reading::of(AFTER_AN_ANSWER.as_bytes());
        let expected = Reading {
            session: "e7171f8d-eddf-48c9-be40-936aa705b609".to_owned(),
            name: String::new(),
            directory: Some("/home/me/api".into()),
            project: Some("/home/me/api".into()),
            model: "Opus 5.5".to_owned(),
            effort: "medium".to_owned(),
            worktree: String::new(),
            pull_request: None,
            cost: Some(38_391_200),
            duration: Some(8688),
            lines: [Some(0), Some(0)],
            context: Context { tokens: Some(55_031), window: Some(1_000_000), used: Some(600) },
            limits: Limits {
                five_hour: Some(Limit { used: 2300, resets_at: 1_796_019_749 }),
                seven_day: Some(Limit { used: 4150, resets_at: 1_796_319_749 }),
                spend: None,
            },
            cache: Some(Cache {
                hits: Some(9090),
                requests: 3,
                misses: 1,
                rewritten: 4007,
                causes: vec![("tools_changed".to_owned(), 1)],
            }),
        };
        assert_eq!(reading, expected);
    }

    #[test]
    fn a_limit_of_spend_has_amounts_behind_a_gateway() {
        let spend = |spend: Value| limits(&json!({ "spend_limit": spend })).spend;
        let limit = Limit { used: 10_550, resets_at: 0 };
        assert_eq!(spend(json!({"used_percentage": 105.5})), Some(Spend { limit, amounts: None }));
        let with = json!({"used_percentage": 105.5, "used_usd": 21.1, "limit_usd": 20});
        assert_eq!(spend(with), Some(Spend { limit, amounts: Some([21_100_000_000, 20_000_000_000]) }));
    }

    #[test]
    fn what_cannot_be_true_is_missing() {
        let absurd = json!({
            "session_id": 7,
            "cwd": "relative",
            "cost": {"total_cost_usd": -1, "total_duration_ms": 1e300, "total_lines_added": "5"},
            "context_window": {"used_percentage": null, "total_input_tokens": 0},
            "rate_limits": {"five_hour": {"used_percentage": -3}, "seven_day": []},
            "prompt_cache": {"requests": 1, "hit_ratio": 2, "miss_causes": {"a b": 1, "tools_changed": "x", "ok": 2}},
        });
        let reading = Reading::of(absurd.to_string().as_bytes());
        let cache = Cache { requests: 1, causes: vec![("ok".to_owned(), 2)], ..Cache::default() };
        assert_eq!(reading, Reading { cache: Some(cache), ..Reading::default() });
        for text in ["", "[]", "7", "{", "null", "\u{feff}{}"] {
            assert_eq!(Reading::of(text.as_bytes()), Reading::default(), "{text}");
        }
    }
}
