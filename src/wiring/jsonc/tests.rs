use proptest::prelude::*;
use serde_json::json;

use super::*;

fn key(key: &str) -> Spot {
    Spot::Key(key.to_owned())
}

fn put(text: &str, spot: &Spot, value: &Value) -> String {
    insert(text, spot, value).unwrap().0
}

#[test]
fn a_value_is_inserted_at_the_front_in_the_style_of_the_text() {
    let cases = [
        ("{}", "{\n    \"k\": 1\n}"),
        ("{\n}\n", "{\n    \"k\": 1\n}\n"),
        ("{\n  \"a\": 1\n}\n", "{\n  \"k\": 1,\n  \"a\": 1\n}\n"),
        ("{\r\n\t\"a\": 1\r\n}", "{\r\n\t\"k\": 1,\r\n\t\"a\": 1\r\n}"),
        ("{\"a\":1}", "{\"k\": 1,\"a\":1}"),
        ("{ \"a\": 1 }", "{ \"k\": 1, \"a\": 1 }"),
        ("// first\n{ // mine\n  // a\n  \"a\": 1,\n}", "// first\n{ // mine\n  \"k\": 1,\n  // a\n  \"a\": 1,\n}"),
        ("{ /* a */ \"a\": 1 }", "{ \"k\": 1, /* a */ \"a\": 1 }"),
        ("{ // nothing\n}", "{ // nothing\n    \"k\": 1\n}"),
        ("", "{\n    \"k\": 1\n}\n"),
        ("// nothing", "// nothing\n{\n    \"k\": 1\n}\n"),
    ];
    for (before, after) in cases {
        assert_eq!(put(before, &key("k"), &json!(1)), after);
    }
}

#[test]
fn values_are_inserted_into_lists_and_tables() {
    let list = Spot::In("l".to_owned());
    assert_eq!(put("{\n  \"l\": []\n}", &list, &json!("x")), "{\n  \"l\": [\n    \"x\"\n  ]\n}");
    assert_eq!(put("{\n  \"l\": [\n    1\n  ]\n}", &list, &json!(2)), "{\n  \"l\": [\n    2,\n    1\n  ]\n}");
    let table = Spot::KeyOf("env".to_owned(), "A".to_owned());
    assert_eq!(put("{\"env\": {\"B\": \"2\"}}", &table, &json!("1")), "{\"env\": {\"A\": \"1\",\"B\": \"2\"}}");
}

#[test]
fn a_wrong_container_is_refused() {
    let refused = |text: &str, spot: Spot| insert(text, &spot, &json!(1)).unwrap_err().to_string();
    assert_eq!(refused("[]", key("k")), " does not contain an object");
    assert_eq!(refused("{\"l\": {}}", Spot::In("l".to_owned())), " does not have a list under `l`");
    assert_eq!(refused("{\"k\": \"x\"}", key("k")), " already has a `k`");
    for (text, place) in
        [("{\n  \"a\": 1\n  \"b\": 2\n}", ":2:9 "), ("{\n  'a': 1\n}", ":2:3 "), ("{\"a\"", ":1:"), ("{} {}", ":1:4 ")]
    {
        let error = refused(text, key("k"));
        assert!(error.starts_with(place), "{text}: {error}");
    }
}

#[test]
fn a_changed_value_is_kept() {
    let removed = |text: &str| remove(text, &key("k"), &json!(1), "\n  \"k\": 1,").unwrap();
    assert_eq!(removed("{\"k\": 2}"), Removal::Changed);
    assert_eq!(removed("{\"k\": 1, \"k\": 1}"), Removal::Changed);
    assert_eq!(removed("{}"), Removal::Gone);
    assert_eq!(removed("[]"), Removal::Gone);
}

#[test]
fn a_moved_value_is_removed() {
    let cases = [
        ("{\n  \"a\": 1, // a\n  \"k\": 1\n}", "{\n  \"a\": 1 // a\n}"),
        ("{\n  \"a\": 1,\n  \"k\" :  1,\n}", "{\n  \"a\": 1,\n}"),
        ("{\n  // why\n  \"k\": 1, // really\n  \"a\": 1\n}", "{\n  // why\n  \"a\": 1\n}"),
        ("{ \"a\": 1, // a\n \"k\": 1 }", "{ \"a\": 1 // a\n }"),
        ("{\"k\":1,\"a\":1}", "{\"a\":1}"),
        ("{ \"k\": 1 }", "{}"),
    ];
    for (before, after) in cases {
        let removed = remove(before, &key("k"), &json!(1), "what it once was").unwrap();
        assert_eq!(removed, Removal::Removed(after.to_owned()));
    }
}

/// Whitespace and comments between two tokens.
fn space() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => Just(String::new()),
        4 => "[ \t]{1,3}",
        4 => Just("\n".to_owned()),
        2 => Just("\r\n".to_owned()),
        2 => "//[a-z{}\",:\\[ /*]{0,6}\n",
        2 => "/\\*[a-z{}\",:\n]{0,6}\\*/",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// Any JSON with comments and trailing commas. None of its keys is the inserted one.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-1.5e3".to_owned()),
        Just("true".to_owned()),
        "\"[a-z,{}: /*ä😀]{0,4}\"",
        Just("\"\\\"\\u00e4\\\\\"".to_owned()),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            members(inner.clone()),
            prop::collection::vec((space(), inner, space()), 0..3)
                .prop_flat_map(|items| (Just(items), any::<bool>(), space()))
                .prop_map(|(items, comma, space)| {
                    let items: Vec<_> = items.into_iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
                    format!("[{}]", joined(&items, comma, &space))
                })
        ]
    });
    (space(), members(value), space()).prop_map(|(a, object, b)| format!("{a}{object}{b}"))
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (space(), "\"[a-e]{1,2}\"", space(), space(), value, space());
    let member = member.prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
    (prop::collection::vec(member, 0..4), any::<bool>(), space())
        .prop_map(|(items, comma, space)| format!("{{{}}}", joined(&items, comma, &space)))
}

fn joined(items: &[String], comma: bool, space: &str) -> String {
    let end = if comma && !items.is_empty() { "," } else { "" };
    format!("{}{end}{space}", items.join(","))
}

fn meaning(text: &str) -> Value {
    parse_to_serde_value(text, &options()).unwrap()
}

/// A list that is created and filled, a table, and a key, as in a real change.
fn wiring() -> Vec<(Spot, Value)> {
    let list = |value| (Spot::In("list".to_owned()), value);
    vec![
        (key("list"), json!([])),
        list(json!({"name": "A", "value": "1"})),
        list(json!({"name": "B", "value": "2"})),
        (key("table"), json!({})),
        (Spot::KeyOf("table".to_owned(), "A".to_owned()), json!("x")),
        (key("zz"), json!("a path")),
    ]
}

proptest! {
    #[test]
    fn inserting_and_removing_changes_nothing(before in document()) {
        let expected = meaning(&before);
        let mut text = before.clone();
        let mut inserted = Vec::new();
        for (spot, value) in wiring() {
            let (with, piece) = insert(&text, &spot, &value).unwrap();
            prop_assert_eq!(find(&with, &spot, &value).unwrap(), Some(value));
            (text, inserted) = (with, [inserted, vec![piece]].concat());
        }
        let mut wired = meaning(&text);
        let object = wired.as_object_mut().unwrap();
        prop_assert_eq!(object.remove("list").unwrap(), json!([{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]));
        prop_assert_eq!(object.remove("table").unwrap(), json!({"A": "x"}));
        prop_assert_eq!(object.remove("zz").unwrap(), json!("a path"));
        prop_assert_eq!(&wired, &expected);
        // Removed exactly, and still correctly if only the value is known.
        for exact in [true, false] {
            let mut text = text.clone();
            for ((spot, value), piece) in wiring().iter().zip(&inserted).rev() {
                let piece = if exact { piece.as_str() } else { "not as it was" };
                let Removal::Removed(rest) = remove(&text, spot, value, piece).unwrap() else { panic!("{text}") };
                text = rest;
            }
            prop_assert_eq!(meaning(&text), expected.clone());
            if exact {
                prop_assert_eq!(&text, &before);
            }
        }
    }
}
