use super::*;

fn answer(line: &str) -> Answer<'_> {
    match row(line.as_bytes()) {
        Ok(Some(Row::Answer(answer))) => *answer,
        other => panic!("{other:?}"),
    }
}

fn prompted(line: &str) -> Prompted<'_> {
    match row(line.as_bytes()) {
        Ok(Some(Row::Prompted(prompted))) => *prompted,
        other => panic!("{other:?}"),
    }
}

/// As version 2.1.332 writes it, in a fork.
const ANSWER: &str = r#"{"parentUuid":"5c","isSidechain":true,"message":{"id":"msg_2","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"the \"answer\" 2"},{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"true"}}],"stop_reason":"end_turn","usage":{"input_tokens":1002,"cache_creation_input_tokens":4002,"cache_read_input_tokens":50002,"output_tokens":202,"server_tool_use":{"web_search_requests":0},"cache_creation":{"ephemeral_1h_input_tokens":1000,"ephemeral_5m_input_tokens":3002},"speed":"standard"},"stop_details":null},"requestId":"req_2","requestSessionId":"parent","requestRef":"f1","attributionAgent":"general-purpose","type":"assistant","uuid":"a9","timestamp":"2026-11-29T21:15:31.448Z","effort":"medium","entrypoint":"sdk-cli","cwd":"/a","sessionId":"fork","version":"2.1.332","gitBranch":"main"}"#;

#[test]
fn an_answer_is_read_without_its_text() {
    let answer = answer(ANSWER);
    assert_eq!(answer.tokens, [1002, 202, 50_002, 4002, 1000]);
    assert_eq!((answer.request.as_ref(), answer.copied_from.as_deref()), ("req_2", Some("parent")));
    assert_eq!((answer.agent.as_ref(), answer.effort.as_ref()), ("general-purpose", "medium"));
    assert_eq!(answer.tools, [ToolUse { id: "toolu_1".into(), tool: "Bash".into() }]);
    let place = &answer.place;
    assert_eq!((place.at, place.directory.as_ref(), place.is_sidechain), (1_795_986_931_448, "/a", true));
    assert!(matches!(place.session, Cow::Borrowed("fork")));
    assert!(!format!("{answer:?}").contains("answer\\"));
}

#[test]
fn a_failed_request_differs_from_a_message_of_claude_code() {
    let line = |more: &str| {
        format!(
            r#"{{"type":"assistant","timestamp":"2026-11-29T21:15:31Z","sessionId":"s","message":{{"id":"m","model":"<synthetic>","usage":{{"input_tokens":0}},"content":[]}}{more}}}"#
        )
    };
    let failed = line(r#","isApiErrorMessage":true,"apiErrorStatus":529"#);
    assert_eq!(answer(&failed).failed, Some(529));
    assert_eq!(row(line("").as_bytes()), Ok(None));
}

#[test]
fn prompts_differ_from_tool_results_and_notes() {
    let line = |content: &str, more: &str| {
        format!(
            r#"{{"parentUuid":null,"promptId":"p","type":"user","message":{{"role":"user","content":{content}}},"timestamp":"2026-11-29T21:15:30.942Z","sessionId":"s"{more}}}"#
        )
    };
    let length = |content: &str, more: &str| prompted(&line(content, more)).length;
    assert_eq!(length("\"größer 🦀\"", ""), Some(9));
    assert_eq!(length(r#"[{"type":"text","text":"ab"},{"type":"image","source":{"data":"x"}}]"#, ""), Some(2));
    assert_eq!(length("\"<command-name>/clear</command-name>\"", ""), None);
    assert_eq!(length("\"note\"", ",\"isMeta\":true"), None);
    assert_eq!(length("\"to an agent\"", ",\"isSidechain\":true"), None);
    let result = r#"[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":"no"}]"#;
    let row = line(result, r#","permissionDecision":{"decision":"accept","source":"config"}"#);
    let row = prompted(&row);
    assert_eq!((row.length, &row.results[..]), (None, &[ToolResult { id: "t".into(), failed: true }][..]));
    assert_eq!(row.decision, Some(("accept".into(), "config".into())));
}

#[test]
fn the_cost_of_a_session_is_exact() {
    let line = br#"{"type":"cost-state","sessionId":"s","totalCostUSD":0.0820876,"startTime":1795986929133,"modelUsage":{"claude-opus-5-5":{"inputTokens":2003,"outputTokens":403,"thinkingTokens":0,"cacheReadInputTokens":100003,"cacheCreationInputTokens":8003,"cacheCreationEphemeral5mInputTokens":6003,"cacheCreationEphemeral1hInputTokens":2000,"costUSD":0.0820876}},"hasUnknownModelCost":true}"#;
    let Ok(Some(Row::Cost(cost))) = row(line) else { panic!("no cost") };
    let of_model = ModelCost { tokens: [2003, 403, 100_003, 8003, 2000], cost: 82_087_600 };
    assert_eq!(cost.models, [("claude-opus-5-5".into(), of_model)]);
    assert!(cost.is_guessed && cost.started == 1_795_986_929_133);
}

#[test]
fn queued_prompts_and_questions_are_read() {
    let queued = br#"{"type":"queue-operation","operation":"remove","timestamp":"2026-11-29T21:20:06.155Z","sessionId":"s","content":"queued one","reason":"absorbed_mid_turn"}"#;
    assert_eq!(row(queued), Ok(Some(Row::Queued { at: 1_795_987_206_155, length: Some(10) })));
    let source = br#"{"type":"api-request","sessionId":"s","id":"f1","querySource":"sdk","params":{}}"#;
    assert_eq!(row(source), Ok(Some(Row::Source(Source { id: "f1".into(), name: "sdk".into() }))));
}

#[test]
fn truncated_rows_and_wrong_types_are_faulty_and_other_rows_are_skipped() {
    let wrong = [
        &ANSWER[..ANSWER.len() / 2],
        &ANSWER.replace("1002", "\"many\""),
        &ANSWER.replace("1002", "-1"),
        &ANSWER.replace("1002", "1e300"),
        &ANSWER.replace("2026-11-29T21:15:31.448Z", "yesterday"),
        &ANSWER.replace("\"true\"", "tru"),
        r#"{"type":"user","timestamp":7}"#,
        r#"{"type":"cost-state","modelUsage":[1]}"#,
        r#"{"kind":"user","timestamp":"2026-11-29T21:15:31.448Z"}"#,
        r#"{"type":"user","timestamp":"2026-11-29T21:15:31.448Z","message":{"content":[{"text":"words"}]}}"#,
    ];
    for line in wrong {
        assert_eq!(row(line.as_bytes()), Err(Faulty), "{line}");
    }
    let nothing = [
        "",
        "[]",
        r#"{"type":"summary","summary":"the \"type\":\"assistant\" says"}"#,
        r#"{"parentUuid":null,"attachment":{"type":"user"},"type":"attachment"}"#,
        r#"{"type":"api-request-shape","shape":{"type":"user"}}"#,
    ];
    for line in nothing {
        assert_eq!(row(line.as_bytes()), Ok(None), "{line}");
    }
}
