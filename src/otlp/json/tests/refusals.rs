//! Rejected input, with the words and the position of each error. Errors never contain the input.

use super::*;

/// The error for a log record with these fields.
fn refused(fields: &str) -> JsonError {
    read(Signal::Logs, format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#))
        .unwrap_err()
}

#[test]
fn errors_have_positions_and_no_content() {
    let integer = "expected an integer of 64 bits without a sign";
    let cases = [
        (r#""timeUnixNano":"SECRET""#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":-777"#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":77.5"#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":18446744073709551616"#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":" 777""#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":"inf""#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":true"#, integer, ".timeUnixNano"),
        (r#""timeUnixNano":[777]"#, integer, ".timeUnixNano"),
        (r#""flags":4294967296"#, "expected an integer of 32 bits without a sign", ".flags"),
        (r#""severityNumber":"SECRET""#, "expected the number of an enumeration's value", ".severityNumber"),
        (r#""severityNumber":2147483648"#, "expected the number of an enumeration's value", ".severityNumber"),
        (r#""severityText":777"#, "expected a string", ".severityText"),
        (r#""severityText":["SECRET"]"#, "expected a string", ".severityText"),
        (r#""traceId":"SECRET""#, "expected a string of 32 hexadecimal digits", ".traceId"),
        (r#""traceId":"101112131415161718191A1b1C1d1E1""#, "expected a string of 32 hexadecimal digits", ".traceId"),
        (r#""spanId":"101112131415161718191A1b1C1d1E1f""#, "expected a string of 16 hexadecimal digits", ".spanId"),
        (r#""body":"SECRET""#, "expected an object", ".body"),
        (r#""body":[]"#, "expected an object", ".body"),
        (r#""body":{"boolValue":"true"}"#, "expected true or false", ".body.boolValue"),
        (r#""body":{"boolValue":1}"#, "expected true or false", ".body.boolValue"),
        (r#""body":{"intValue":77.5}"#, "expected an integer of 64 bits", ".body.intValue"),
        (r#""body":{"intValue":"1e300"}"#, "expected an integer of 64 bits", ".body.intValue"),
        (r#""body":{"bytesValue":"*SECRET*"}"#, "expected a string in base64", ".body.bytesValue"),
        (r#""body":{"arrayValue":{"values":{}}}"#, "expected a list", ".body.arrayValue.values"),
        (r#""attributes":{"key":"SECRET"}"#, "expected a list", ".attributes"),
        (r#""attributes":[{},"SECRET"]"#, "expected an object", ".attributes[1]"),
        (r#""flags":1,"flags":777"#, "given twice", ".flags"),
        (r#""timeUnixNano":0,"time_unix_nano":777"#, "given twice", ".timeUnixNano"),
        (
            r#""body":{"stringValue":"SECRET","intValue":777}"#,
            "given beside another field that excludes it",
            ".body.intValue",
        ),
    ];
    for (fields, expected, place) in cases {
        let error = refused(fields);
        let JsonError::Invalid { what, line: 1, path, .. } = &error else { panic!("{fields}: {error:?}") };
        assert_eq!(what, expected, "{fields}");
        assert_eq!(*path, format!(", in resourceLogs[0].scopeLogs[0].logRecords[0]{place}"), "{fields}");
        assert!(!error.to_string().contains("SECRET") && !error.to_string().contains("777"), "{error}");
    }
    let double = refused(r#""body":{"doubleValue":"inf"}"#).to_string();
    assert!(double.starts_with("expected a number, `\"NaN\"`"), "{double}");
    let list = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[1,null]}]}}]}]}]}"#;
    let error = read(Signal::Metrics, list).unwrap_err().to_string();
    assert!(error.ends_with("metrics[0].histogram.dataPoints[0].bucketCounts[1]"), "{error}");
}

#[test]
fn invalid_json_is_reported_with_its_position() {
    let cases: [(&[u8], &str); 9] = [
        (b"[]", "expected an object, at line 1, column 0"),
        (b"null", "expected an object, at line 1, column 4"),
        (b"{", "EOF while parsing an object, at line 1, column 1"),
        (b"{\"resourceLogs\":[{]}", "key must be a string, at line 1, column 19, in resourceLogs[0]"),
        (b"{}\n{}", "trailing characters, at line 2, column 1"),
        (b"{\"x\":\"\n\"}", "control character (\\u0000-\\u001F) found while parsing a string, at line 1, column 6"),
        (b"{\n\"x\xff\":1}", "not UTF-8, at line 2, column 3"),
        (b"\n\xef\xbb\xbf{}", "expected value, at line 2, column 1"),
        (b"SECRET", "expected value, at line 1, column 1"),
    ];
    for (json, expected) in cases {
        assert_eq!(read(Signal::Logs, json).unwrap_err().to_string(), expected);
    }
}

/// A log record whose body is nested arrays.
fn nested(arrays: usize) -> String {
    let open = r#"{"arrayValue":{"values":["#.repeat(arrays);
    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{{}}{}}}]}}]}}]}}"#,
        "]}}".repeat(arrays)
    )
}

#[test]
fn messages_nest_as_deep_as_protobuf_allows() {
    // Three messages down to the record, one for the body, and two for each array.
    let deepest = read(Signal::Logs, nested(48)).unwrap();
    assert!(ExportLogsServiceRequest::decode(&*deepest).is_ok());
    let json = protobuf_to_json(Signal::Logs, &deepest, LIMIT).unwrap();
    assert_eq!(read(Signal::Logs, json), Ok(deepest.clone()));
    for arrays in [49, 50, 100, 10_000] {
        assert_eq!(read(Signal::Logs, nested(arrays)), Err(JsonError::TooDeep));
    }
    let mut deeper = deepest;
    for _ in 0..10 {
        let mut outer = Vec::new();
        crate::otlp::put_message(&mut outer, 1, &deeper);
        deeper = outer;
    }
    assert!(ExportLogsServiceRequest::decode(&*deeper).is_err());
}

#[test]
fn skipped_values_may_have_any_depth() {
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(Signal::Logs, deep), Ok(Vec::new()));
    // A list in the wrong place does not cause recursion either.
    let list = format!(r#"{{"resourceLogs":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(read(Signal::Logs, list), Err(JsonError::Invalid { .. })));
}

#[test]
fn input_that_would_expand_too_much_is_rejected() {
    let counts = vec!["1"; LIMIT / 4].join(",");
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{counts}]}}]}}}}]}}]}}]}}"#
    );
    assert_eq!(read(Signal::Metrics, &json), Err(JsonError::TooLarge(LIMIT)));
    let wire = json_to_protobuf(Signal::Metrics, json.as_bytes(), 4 * LIMIT).unwrap();
    assert_eq!(protobuf_to_json(Signal::Metrics, &wire, LIMIT / 2), Err(JsonError::TooLarge(LIMIT / 2)));
}
