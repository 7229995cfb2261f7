//! Puts a profile's resource attributes into a request in its wire form, so that nothing else of it changes.
//!
//! Decoding and encoding again would lose the fields of newer senders, which prost drops. All three signals agree in
//! the part that matters here: field 1 of a request are its `ResourceX` messages, field 1 of these is the resource,
//! and field 1 of that are its attributes (opentelemetry-proto, `*_service.proto`, `resource.proto`).

use std::collections::BTreeMap;

use super::wire::{Malformed, fields, put_message};

/// `resource_metrics`, `resource_logs`, `resource_spans` of a request.
const RESOURCE_ITEM: u32 = 1;
/// `resource` of one of those.
const RESOURCE: u32 = 1;
/// `attributes` of a resource.
const ATTRIBUTE: u32 = 1;
/// `key` of an attribute.
const KEY: u32 = 1;
/// `value` of an attribute.
const VALUE: u32 = 2;
/// `string_value` of an attribute's value.
const STRING_VALUE: u32 = 1;

/// How many bytes a request may grow by being stamped: sixteen MiB are tens of thousands of resources, where Claude
/// Code sends one. Without a bound, 64 MiB of empty resources of two bytes each would become gigabytes.
const MAX_GROWTH: usize = 16 << 20;

/// The resource attributes that every resource of a request is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// These take the place of whatever came under their keys.
    pub replace: BTreeMap<String, String>,
    /// These are added where nothing came under their keys.
    pub absent: BTreeMap<String, String>,
}

/// Stamps every resource of an `Export…ServiceRequest` in protobuf, whichever signal it is of.
///
/// What is not an attribute of the same key stays as it came, byte for byte and in its order, unknown fields included;
/// ours go behind the resource's other fields. A `ResourceX` without a resource is given one.
pub fn splice_resource(body: &[u8], stamp: &Stamp) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(body.len());
    for field in fields(body) {
        let field = field?;
        if field.number == RESOURCE_ITEM {
            put_message(&mut out, RESOURCE_ITEM, &splice_item(field.bytes()?, stamp)?);
        } else {
            out.extend_from_slice(field.raw);
        }
        if out.len() > body.len().saturating_add(MAX_GROWTH) {
            return Err(Malformed::TooManyResources);
        }
    }
    Ok(out)
}

/// A `ResourceX` may hold its resource in several pieces, which a reader merges: the attributes of all of them count,
/// and ours go behind the last.
fn splice_item(item: &[u8], stamp: &Stamp) -> Result<Vec<u8>, Malformed> {
    let survey = Survey::of(item, stamp)?;
    let mut out = Vec::with_capacity(item.len());
    if survey.pieces == 0 {
        put_message(&mut out, RESOURCE, &survey.additions);
    }
    let mut pieces = 0;
    for field in fields(item) {
        let field = field?;
        if field.number != RESOURCE {
            out.extend_from_slice(field.raw);
            continue;
        }
        pieces += 1;
        let mut resource = without_replaced(field.bytes()?, stamp)?;
        if pieces == survey.pieces {
            resource.extend_from_slice(&survey.additions);
        }
        put_message(&mut out, RESOURCE, &resource);
    }
    Ok(out)
}

/// What must be known of a `ResourceX` before it can be rewritten.
struct Survey {
    /// In how many pieces the resource comes.
    pieces: usize,
    /// The attributes to add, encoded as fields of a resource.
    additions: Vec<u8>,
}

impl Survey {
    fn of(item: &[u8], stamp: &Stamp) -> Result<Self, Malformed> {
        let mut pieces = 0;
        let mut missing: BTreeMap<&[u8], &str> =
            stamp.absent.iter().map(|(key, value)| (key.as_bytes(), value.as_str())).collect();
        for field in fields(item) {
            let field = field?;
            if field.number == RESOURCE {
                pieces += 1;
                for key in attribute_keys(field.bytes()?) {
                    missing.remove(key?);
                }
            }
        }
        missing.retain(|key, _| !replaces(stamp, key));
        let mut additions = Vec::new();
        // In this order stamping twice is stamping once.
        for (key, value) in missing {
            put_message(&mut additions, ATTRIBUTE, &string_attribute(key, value));
        }
        for (key, value) in &stamp.replace {
            put_message(&mut additions, ATTRIBUTE, &string_attribute(key.as_bytes(), value));
        }
        Ok(Self { pieces, additions })
    }
}

fn attribute_keys(resource: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    fields(resource).filter_map(|field| match field {
        Ok(field) if field.number == ATTRIBUTE => Some(field.bytes().and_then(key_of)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

fn without_replaced(resource: &[u8], stamp: &Stamp) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(resource.len());
    for field in fields(resource) {
        let field = field?;
        if field.number != ATTRIBUTE || !replaces(stamp, key_of(field.bytes()?)?) {
            out.extend_from_slice(field.raw);
        }
    }
    Ok(out)
}

/// The key of a `KeyValue`. Should it occur twice, the last one counts, as everywhere in protobuf.
fn key_of(attribute: &[u8]) -> Result<&[u8], Malformed> {
    let mut key: &[u8] = b"";
    for field in fields(attribute) {
        let field = field?;
        if field.number == KEY {
            key = field.bytes()?;
        }
    }
    Ok(key)
}

fn replaces(stamp: &Stamp, key: &[u8]) -> bool {
    std::str::from_utf8(key).is_ok_and(|key| stamp.replace.contains_key(key))
}

fn string_attribute(key: &[u8], value: &str) -> Vec<u8> {
    let mut any_value = Vec::new();
    put_message(&mut any_value, STRING_VALUE, value.as_bytes());
    let mut attribute = Vec::new();
    put_message(&mut attribute, KEY, key);
    put_message(&mut attribute, VALUE, &any_value);
    attribute
}

#[cfg(test)]
mod tests;
