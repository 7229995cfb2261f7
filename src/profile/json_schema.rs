//! The profile format as JSON Schema (draft 2020-12), for editors. Generated from the same description as the checks.

use serde_json::{Map, Value, json};

use super::schema::{DYNAMIC, Key, Kind, PROFILE, SOURCES, VARIABLE};
use super::status_line::{DEFAULT_FORMAT, MAXIMUM};

/// The JSON Schema of a profile's file.
pub fn json_schema() -> Value {
    let mut schema = table(PROFILE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("ccrun profile");
    schema
}

fn table(keys: &'static [Key]) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn property(key: &'static Key) -> Value {
    let mut property = kind(&key.kind);
    property["description"] = json!(key.about);
    property
}

fn kind(of: &'static Kind) -> Value {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    match of {
        Kind::Text => json!({ "type": "string" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Duration => json!({ "type": "string", "examples": ["10s", "1m 30s"] }),
        Kind::Format => json!({ "type": "string", "maxLength": MAXIMUM, "examples": [DEFAULT_FORMAT] }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Choices(words) => json!({ "type": "array", "items": { "enum": words } }),
        Kind::Texts => texts(),
        Kind::Names => json!({ "anyOf": [{ "type": "string" }, texts()] }),
        Kind::Command => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        Kind::Dynamic => json!({ "anyOf": one_source(|name| DYNAMIC.contains(&name)) }),
        Kind::Variable => {
            let sources = one_source(|name| DYNAMIC.contains(&name));
            json!({ "anyOf": sources.into_iter().chain([table(VARIABLE)]).collect::<Vec<_>>() })
        }
        Kind::Source => {
            let one = json!({ "anyOf": one_source(|_| true) });
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Kind::Amount => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::Percentages => json!({ "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 1000 } }),
        Kind::Tables(kinds) => {
            let one = |keys: &&'static [Key]| {
                let mut one = table(keys);
                one["required"] = json!([keys[0].name]);
                one
            };
            json!({ "type": "array", "items": { "anyOf": kinds.iter().map(one).collect::<Vec<_>>() } })
        }
        Kind::Table(keys) => table(keys),
        Kind::Map(each) => json!({ "type": "object", "additionalProperties": kind(each) }),
        Kind::Any => json!({}),
    }
}

/// A string, or a table that names a source.
fn one_source(allowed: impl Fn(&str) -> bool) -> Vec<Value> {
    let sources = SOURCES.iter().filter(|keys| allowed(keys[0].name));
    let tables = sources.map(|keys| {
        let mut source = if matches!(keys[0].kind, Kind::Table(_)) { shallow(keys) } else { table(keys) };
        source["required"] = json!([keys[0].name]);
        source
    });
    std::iter::once(json!({ "type": "string" })).chain(tables).collect()
}

/// Sources within a source are not described further.
fn shallow(keys: &'static [Key]) -> Value {
    let properties: Map<_, _> =
        keys.iter().map(|key| (key.name.to_owned(), json!({ "type": "object", "description": key.about }))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_schema_agrees_with_the_checks() {
        let schema = json_schema();
        let names: Vec<_> = PROFILE.iter().map(|key| key.name).collect();
        assert!(schema["properties"].as_object().unwrap().keys().eq(names));
        let destination = &schema["properties"]["destination"]["additionalProperties"]["properties"];
        assert_eq!(destination["protocol"]["enum"], json!(["http/protobuf", "http/json", "grpc"]));
        assert_eq!(schema["properties"]["signals"]["properties"]["logs"]["type"], "boolean");
        let variable = schema["properties"]["vars"]["additionalProperties"]["anyOf"].as_array().unwrap();
        assert!(variable.last().unwrap()["properties"]["values"].is_object() && variable.len() == 5);
        assert_eq!(schema["properties"]["resource"]["additionalProperties"]["anyOf"].as_array().unwrap().len(), 4);
    }
}
