//! Tests of the stand-in: one that answered wrongly would let wrong tests pass.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Model, Script, Usage};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);

const USAGE: Usage = Usage { input: 7, output: 5, cache_read: 3, cache_creation: 2 };

#[test]
fn a_whole_message_reports_the_usage() -> io::Result<()> {
    let model = Model::start(Script::text("hello").usage(USAGE).recording())?;
    let message = json(&post(&model, "/v1/messages", &json!({"model": "some-model"}))?);
    assert_eq!(message["content"][0]["text"], "hello");
    assert_eq!(message["model"], "some-model");
    assert_eq!(
        message["usage"],
        json!({
            "input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2
        })
    );
    assert_eq!(json(&post(&model, "/v1/messages/count_tokens", &json!({}))?), json!({"input_tokens": 7}));
    assert_eq!(model.requests().len(), 2);
    Ok(())
}

#[test]
fn a_command_is_requested_until_its_result_arrives() -> io::Result<()> {
    let model = Model::start(Script::text("done").bash("true"))?;
    let mut request = json!({"tools": [{"name": "Bash"}], "messages": [{"role": "user", "content": "go"}]});
    let message = json(&post(&model, "/v1/messages", &request)?);
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(message["content"][0]["input"]["command"], "true");
    request["messages"] = json!([{"role": "user", "content": [{"type": "tool_result", "content": ""}]}]);
    assert_eq!(json(&post(&model, "/v1/messages", &request)?)["content"][0]["text"], "done");
    let aside = json!({"tools": [], "messages": [{"role": "user", "content": "go"}]});
    assert_eq!(json(&post(&model, "/v1/messages", &aside)?)["stop_reason"], "end_turn");
    Ok(())
}

#[test]
fn a_title_follows_the_requested_schema() -> io::Result<()> {
    let model = Model::start(Script::text("no JSON"))?;
    let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}});
    let request = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let message = json(&post(&model, "/v1/messages", &request)?);
    assert_eq!(message["content"][0]["text"], r#"{"title":"stand-in"}"#);
    Ok(())
}

#[test]
fn a_stalled_answer_continues_when_released() -> io::Result<()> {
    let model = Model::start(Script::text("first\nsecond").usage(USAGE).stalling())?;
    let mut answer = BufReader::new(send(&model, "/v1/messages", &streaming())?);
    let before = read_until(&mut answer, "first")?;
    assert!(model.wait_for_stall(LIMIT));
    assert!(!before.contains("second"));
    model.release();
    let after = read_until(&mut answer, "message_stop")?;
    assert!(after.contains("second"));
    assert!(after.contains(r#""output_tokens":5"#));
    Ok(())
}

#[test]
fn a_stalled_answer_does_not_delay_the_shutdown() -> io::Result<()> {
    let model = Model::start(Script::text("first\nsecond").stalling())?;
    let mut answer = BufReader::new(send(&model, "/v1/messages", &streaming())?);
    assert!(model.wait_for_stall(LIMIT));
    let began = Instant::now();
    drop(model);
    assert!(began.elapsed() < LIMIT);
    let mut rest = String::new();
    // Cut off, as a normal end or as an error.
    let _ = answer.read_to_string(&mut rest);
    assert!(!rest.contains("second"));
    Ok(())
}

fn streaming() -> Value {
    json!({"stream": true, "tools": [{"name": "Bash"}], "messages": []})
}

fn post(model: &Model, path: &str, body: &Value) -> io::Result<String> {
    let mut answer = String::new();
    send(model, path, body)?.read_to_string(&mut answer)?;
    Ok(answer)
}

fn send(model: &Model, path: &str, body: &Value) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(model.address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let (host, body) = (model.address, body.to_string());
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    Ok(stream)
}

fn read_until(answer: &mut impl BufRead, word: &str) -> io::Result<String> {
    let mut seen = String::new();
    while !seen.contains(word) {
        if answer.read_line(&mut seen)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("no `{word}` in `{seen}`")));
        }
    }
    Ok(seen)
}

/// The JSON object in an answer, between the head and the last chunk.
fn json(answer: &str) -> Value {
    let object = answer.find('{').zip(answer.rfind('}')).and_then(|(start, end)| answer.get(start..=end));
    object.and_then(|object| serde_json::from_str(object).ok()).unwrap_or_default()
}
