use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-01-31T12:00:00Z";

fn read_now(printed: &str) -> Result<BTreeMap<String, Fetched>, String> {
    read_at(printed, Some(Duration::from_mins(29)), NOW.parse().unwrap())
}

/// The headers of an answer on one line, each with the seconds that it is valid.
fn shown(printed: &str) -> String {
    match read_now(printed) {
        Ok(headers) => {
            let header = |(name, fetched): (&String, &Fetched)| {
                format!("{name}={} {}", fetched.value.expose(), fetched.fresh_for.unwrap().as_secs())
            };
            headers.iter().map(header).collect::<Vec<_>>().join(", ")
        }
        Err(reason) => reason,
    }
}

#[test]
fn headers_are_read_from_both_forms_of_json() {
    let cases = [
        (r#"{"Authorization": "Bearer x", "X-Org": "a"}"#, "authorization=Bearer x 1740, x-org=a 1740"),
        (r#"{"headers": {"X": "1"}}"#, "x=1 1740"),
        (r#"{"headers": {"X": "1"}, "expires_at": "2026-01-31T12:01:00Z"}"#, "x=1 60"),
        (r#"{"expires_at": "2026-01-31T13:01:00+01:00", "headers": {"X": "1"}}"#, "x=1 60"),
        // A past time means to fetch again.
        (r#"{"headers": {"X": "1"}, "expires_at": "2020-01-31T12:01:00Z"}"#, "x=1 0"),
        // A header of that name.
        (r#"{"headers": "1", "Y": "2"}"#, "headers=1 1740, y=2 1740"),
        (" {\n \"X\": \"\" }\r\n", "x= 1740"),
    ];
    for (printed, expected) in cases {
        assert_eq!(shown(printed), expected, "{printed}");
    }
}

#[test]
fn errors_have_positions() {
    let no_object = "printed no JSON object of headers: ";
    let cases = [
        ("", "printed nothing: print a JSON object of headers"),
        ("{}", "printed no header"),
        ("sk-1", &format!("{no_object}line 1 column 1: expected value")),
        (r#""sk-1""#, &format!("{no_object}line 1 column 6: expected an object, not a string")),
        ("[\"sk-1\"]", &format!("{no_object}line 1 column 1: expected an object, not a list")),
        (r#"{"X": 15}"#, &format!("{no_object}line 1 column 8: expected a string, not a number")),
        (r#"{"X": true}"#, &format!("{no_object}line 1 column 10: expected a string, not true or false")),
        ("{\"X\":\n null}", &format!("{no_object}line 2 column 5: expected a string, not null")),
        (r#"{"X": {"Y": "sk-1"}}"#, &format!("{no_object}line 1 column 6: expected a string, not an object")),
        (
            r#"{"headers": ["sk-1"]}"#,
            &format!("{no_object}line 1 column 13: expected an object of headers, not a list"),
        ),
        (r#"{"X": "sk-1" "Y": ""}"#, &format!("{no_object}line 1 column 14: expected `,` or `}}`")),
        (r#"{"X": "sk-1""#, &format!("{no_object}line 1 column 12: EOF while parsing an object")),
        (r#"{"X": "sk-1"} sk-2"#, &format!("{no_object}line 1 column 15: trailing characters")),
        (r#"{"X": "sk-1", "headers": {}}"#, &format!("{no_object}line 1 column 28: {}", FormFault::TwoForms)),
        (r#"{"X": "sk-1", "expires_at": "x"}"#, &format!("{no_object}line 1 column 32: {}", FormFault::NoHeaders)),
        (r#"{"Host": "sk-1"}"#, "printed the header `host`, which frames the message and cannot be set"),
        (r#"{"grpc-timeout": "1S"}"#, "printed the header `grpc-timeout`, which frames the message and cannot be set"),
        (r#"{"sk 1": "x"}"#, "printed an invalid header name: use letters, digits, - and _"),
        (r#"{"X": "sk\n1"}"#, "printed a value with a line break or another control character"),
        (r#"{"x": "1", "X": "2"}"#, "printed two headers of the same name (names ignore case)"),
        (
            r#"{"headers": {"X": "1"}, "expires_at": "tomorrow"}"#,
            "printed an invalid `expires_at`: write it as 2026-01-31T12:00:00Z (RFC 3339)",
        ),
    ];
    for (printed, expected) in cases {
        assert_eq!(shown(printed), expected, "{printed}");
    }
}

#[test]
fn a_single_value_is_one_line() {
    let said = |printed: &str| bare(printed.to_owned());
    for value in ["sk-1", "a b\tc", "größe", "a\"b\"", "{not json"] {
        assert_eq!(said(value).unwrap(), value);
    }
    let cases = [
        ("", "printed nothing"),
        ("  ", "printed nothing"),
        ("sk-1\nsk-2", "printed more than one line: print only the value"),
        ("sk-1\u{1b}[0m", "printed a control character, at line 1 column 5"),
        ("\"sk-1\"", "printed its value in quotes: print it without them (`jq -r`)"),
        (
            "{\"X\": \"sk-1\"}",
            "printed a JSON object, which is for `headers_helper`: for one header, print only the value",
        ),
    ];
    for (printed, expected) in cases {
        assert_eq!(said(printed).unwrap_err(), expected, "{printed}");
    }
}

#[test]
fn the_output_of_a_command_becomes_headers() {
    let variables = BTreeMap::new();
    let context = FetchContext::new(std::path::Path::new("/"), &variables);
    let command = |script: &str, interactive| Command {
        argv: ["sh", "-c", script].map(str::to_owned).into(),
        ttl: Some(Duration::from_mins(1)),
        timeout: Duration::from_mins(1),
        interactive,
    };
    let fetched = headers(&command(r#"echo '{"X": "1"}'"#, false), context).unwrap();
    assert_eq!(fetched["x"], Fetched { value: Secret::from("1".to_owned()), fresh_for: Some(Duration::from_mins(1)) });
    let failure = headers(&command("echo sk-1; exit 3", false), context).unwrap_err();
    assert_eq!(failure, "ended with exit status: 3");
    // Only a launch runs it.
    let failure = headers(&command("echo '{}'", true), context).unwrap_err();
    assert_eq!(failure, "is interactive and will be run at the next launch");
}

/// JSON, or almost, in which every string contains a secret.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"s3cr3t\"",
        "\"headers\"",
        "\"expires_at\"",
        "s3cr3t",
        "42",
        "null",
        "\"s3cr3t, expected x\"",
        "\n",
        "\\",
        "\"",
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_error_shows_what_was_printed(text in almost_json(), nested in almost_json()) {
        for printed in [text.clone(), format!("{{\"headers\": {text}}}"), format!("{{\"X\": {text}, \"headers\": {nested}}}")] {
            if let Err(reason) = read_now(&printed) {
                prop_assert!(!reason.contains("s3cr3t"), "{}: {}", printed, reason);
            }
            if let Err(reason) = bare(printed.clone()) {
                prop_assert!(!reason.contains("s3cr3t"), "{}: {}", printed, reason);
            }
        }
    }
}
