//! The answers of the stand-in, as messages of the API.

use serde_json::{Value, json};

/// What the stand-in answers.
#[derive(Clone, Debug)]
pub struct Script {
    text: String,
    /// The first that a request offers is called.
    tools: Vec<Tool>,
    /// A status that is answered to requests of the conversation, and to how many of them.
    pub(super) fails: Option<(u16, usize)>,
    pub(super) usage: Usage,
    pub(super) stalls: bool,
    pub(super) records: bool,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    name: String,
    input: Value,
}

/// Token counts that every answer reports.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Input tokens outside the cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
    /// Tokens written to the cache.
    pub cache_creation: u64,
}

impl Script {
    /// Answers every request with `text`.
    pub fn text(text: impl Into<String>) -> Self {
        let usage = Usage { input: 100, output: 20, cache_read: 0, cache_creation: 0 };
        Self { text: text.into(), tools: Vec::new(), fails: None, usage, stalls: false, records: false }
    }

    /// Answers with a call of the `Bash` tool that runs `command`, and with the text once its result arrives.
    #[must_use]
    pub fn bash(self, command: impl Into<String>) -> Self {
        let description = "Runs what the script says";
        self.tool("Bash", json!({"command": command.into(), "description": description}))
    }

    /// The same with any tool. Requests that do not offer it, such as a subagent's, are answered with the next tool that
    /// was added, or the text.
    #[must_use]
    pub fn tool(mut self, name: impl Into<String>, input: Value) -> Self {
        self.tools.push(Tool { name: name.into(), input });
        self
    }

    /// Answers the first requests of the conversation, so many of them, with an error of that HTTP status.
    #[must_use]
    pub fn failing(self, status: u16, times: usize) -> Self {
        Self { fails: Some((status, times)), ..self }
    }

    /// Reports these token counts.
    #[must_use]
    pub fn usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    /// Stalls in the middle of the text until released. With several lines it stalls after the first, because an
    /// interactive Claude Code shows only whole lines. Side requests, for a title for example, are answered in full.
    #[must_use]
    pub fn stalling(self) -> Self {
        Self { stalls: true, ..self }
    }

    /// Keeps every request for [`requests`](super::Model::requests).
    #[must_use]
    pub fn recording(self) -> Self {
        Self { records: true, ..self }
    }
}

/// The content of an answer.
pub(super) enum Block {
    Text(String),
    Tool(Tool),
}

impl Block {
    /// The script's answer to a request.
    pub(super) fn of(script: &Script, request: &Value) -> Self {
        match script.tools.iter().find(|tool| offers(request, &tool.name)) {
            Some(tool) if !has_tool_result(request) => Self::Tool(tool.clone()),
            _ => Self::Text(structured(request).unwrap_or_else(|| script.text.clone())),
        }
    }

    fn content(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Tool(Tool { name, input }) => {
                json!({"type": "tool_use", "id": "toolu_standin", "name": name, "input": input})
            }
        }
    }

    fn stop_reason(&self) -> &'static str {
        match self {
            Self::Text(_) => "end_turn",
            Self::Tool(_) => "tool_use",
        }
    }

    pub(super) fn message(&self, model: &Value, usage: Usage) -> Value {
        json!({
            "id": "msg_standin", "type": "message", "role": "assistant", "model": model, "content": [self.content()],
            "stop_reason": self.stop_reason(), "stop_sequence": null, "usage": usage.json(usage.output),
        })
    }

    /// The message as stream events, with its content in two deltas.
    pub(super) fn events(&self, model: &Value, usage: Usage) -> Vec<Value> {
        let mut start = self.message(model, usage);
        start["content"] = json!([]);
        start["stop_reason"] = Value::Null;
        start["usage"] = usage.json(1);
        let (empty, deltas) = match self {
            Self::Text(text) => (
                json!({"type": "text", "text": ""}),
                halves(text).map(|half| json!({"type": "text_delta", "text": half})),
            ),
            Self::Tool(Tool { name, input }) => (
                json!({"type": "tool_use", "id": "toolu_standin", "name": name, "input": {}}),
                halves(&input.to_string()).map(|half| json!({"type": "input_json_delta", "partial_json": half})),
            ),
        };
        let mut events = vec![
            json!({"type": "message_start", "message": start}),
            json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        ];
        events.extend(deltas.map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": 0}));
        let delta = json!({"stop_reason": self.stop_reason(), "stop_sequence": null});
        events.push(json!({"type": "message_delta", "delta": delta, "usage": usage.json(usage.output)}));
        events.push(json!({"type": "message_stop"}));
        events
    }
}

impl Usage {
    fn json(self, output: u64) -> Value {
        json!({
            "input_tokens": self.input, "output_tokens": output,
            "cache_read_input_tokens": self.cache_read, "cache_creation_input_tokens": self.cache_creation,
        })
    }
}

/// Only requests of the conversation offer tools; requests for titles, summaries and the like do not.
pub(super) fn offers_bash(request: &Value) -> bool {
    offers(request, "Bash")
}

fn offers(request: &Value, tool: &str) -> bool {
    request["tools"].as_array().is_some_and(|tools| tools.iter().any(|offered| offered["name"] == tool))
}

fn has_tool_result(request: &Value) -> bool {
    let messages = request["messages"].as_array().into_iter().flatten();
    messages.filter_map(|message| message["content"].as_array()).flatten().any(|block| block["type"] == "tool_result")
}

/// An object that satisfies the request's JSON schema, such as the one for a session title.
fn structured(request: &Value) -> Option<String> {
    let properties = request["output_config"]["format"]["schema"]["properties"].as_object()?;
    let values = properties.iter().map(|(name, property)| {
        let value = match property["type"].as_str() {
            Some("string") => property["enum"].get(0).cloned().unwrap_or_else(|| json!("stand-in")),
            Some("boolean") => json!(false),
            Some("integer" | "number") => json!(0),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => Value::Null,
        };
        (name.clone(), value)
    });
    Some(Value::Object(values.collect()).to_string())
}

fn halves(text: &str) -> [&str; 2] {
    let middle = text.find('\n').map_or(text.floor_char_boundary(text.len().div_ceil(2)), |line| line + 1);
    let (first, second) = text.split_at(middle);
    [first, second]
}
