//! Transcripts as version 2.1.332 writes them, for tests.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::usage::samples::morning;

pub(super) const OPUS: &str = "claude-opus-5-5";

/// A session's transcript under construction.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) session: String,
    pub(super) lines: Vec<String>,
    prompt: String,
}

/// A session's id.
pub(super) fn id(number: u8) -> String {
    format!("{number:08x}-4a4d-4fb5-af16-ea19d65fe751")
}

/// This many milliseconds after nine.
pub(super) fn at(after: i64) -> String {
    Timestamp::from_millisecond(morning().as_millisecond() + after).unwrap().to_string()
}

impl Written {
    pub(super) fn new(number: u8) -> Self {
        Self { session: id(number), lines: Vec::new(), prompt: String::new() }
    }

    pub(super) fn row(&mut self, after: i64, mut row: Value) -> &mut Self {
        let common = json!({
            "isSidechain": false, "timestamp": at(after), "sessionId": self.session, "cwd": "/projects/a",
            "gitBranch": "main", "version": "2.1.332", "entrypoint": "cli",
        });
        let own = std::mem::take(row.as_object_mut().unwrap());
        let mut all = common.as_object().unwrap().clone();
        all.extend(own);
        self.lines.push(Value::Object(all).to_string());
        self
    }

    pub(super) fn prompt(&mut self, after: i64, prompt: &str, text: &str) -> &mut Self {
        self.prompt = prompt.to_owned();
        self.row(after, json!({"type": "user", "promptId": prompt, "message": {"role": "user", "content": text}}))
    }

    /// An answer with or without a `request-id`, in as many blocks as there are tools, but at least one.
    pub(super) fn answer(&mut self, after: i64, request: Option<&str>, tokens: [i64; 5]) -> &mut Self {
        let content = json!([{"type": "text", "text": "words"}]);
        self.block(after, request, tokens, &content)
    }

    pub(super) fn block(&mut self, after: i64, request: Option<&str>, tokens: [i64; 5], content: &Value) -> &mut Self {
        let number = self.lines.len();
        let mut row = json!({
            "type": "assistant", "uuid": format!("{}-{number}", self.session), "effort": "medium",
            "message": {
                "id": request.map_or_else(|| format!("msg_{number}"), |id| format!("msg_{id}")),
                "model": OPUS, "role": "assistant", "content": content,
                "usage": {
                    "input_tokens": tokens[0], "output_tokens": tokens[1], "cache_read_input_tokens": tokens[2],
                    "cache_creation_input_tokens": tokens[3],
                    "cache_creation": {"ephemeral_5m_input_tokens": tokens[3] - tokens[4], "ephemeral_1h_input_tokens": tokens[4]},
                    "speed": "standard",
                },
            },
        });
        if let Some(request) = request {
            row["requestId"] = json!(request);
        }
        self.row(after, row)
    }

    pub(super) fn result(&mut self, after: i64, tool: &str, failed: bool) -> &mut Self {
        let prompt = self.prompt.clone();
        self.row(
            after,
            json!({
                "type": "user", "promptId": prompt,
                "message": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": tool, "is_error": failed, "content": "words"}]},
                "permissionDecision": {"decision": "accept", "source": "config"},
            }),
        )
    }

    /// The cost in US dollars by model, and the tokens.
    pub(super) fn cost(&mut self, started: i64, models: &[(&str, f64, [i64; 5])]) -> &mut Self {
        let usage = models.iter().map(|(model, cost, tokens)| {
            let usage = json!({
                "inputTokens": tokens[0], "outputTokens": tokens[1], "cacheReadInputTokens": tokens[2],
                "cacheCreationInputTokens": tokens[3], "cacheCreationEphemeral1hInputTokens": tokens[4], "costUSD": cost,
            });
            ((*model).to_owned(), usage)
        });
        let usage: serde_json::Map<String, Value> = usage.collect();
        let started = morning().as_millisecond() + started;
        let total: f64 = models.iter().map(|(_, cost, _)| cost).sum();
        self.lines.push(
            json!({"type": "cost-state", "sessionId": self.session, "totalCostUSD": total, "startTime": started, "modelUsage": usage})
                .to_string(),
        );
        self
    }

    /// A fork of it: its rows with another session's id, with the parent recorded in the answers, and with all prompts
    /// as one.
    pub(super) fn fork(&self, number: u8, prompt: &str) -> Self {
        let mut fork = Self::new(number);
        for line in self.lines.iter().filter(|line| !line.contains("cost-state")) {
            let mut row: Value = serde_json::from_str(line).unwrap();
            row["sessionId"] = json!(fork.session);
            if row["type"] == "assistant" {
                row["requestSessionId"] = json!(self.session);
            } else {
                row["promptId"] = json!(prompt);
            }
            fork.lines.push(row.to_string());
        }
        fork
    }

    /// Writes it below Claude Code's directory.
    pub(super) fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join("projects/-projects-a").join(format!("{}.jsonl", self.session));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, self.lines.join("\n") + "\n").unwrap();
        path
    }
}
