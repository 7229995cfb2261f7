//! Resource attributes that a profile adds to every resource.

use std::collections::BTreeMap;

use super::attribute::{key_of, string_attribute};
use super::redact::{Fate, Redact};
use crate::otlp::schema::every::RESOURCE;
use crate::otlp::schema::resource;
use crate::otlp::wire::{Malformed, fields, put_message};

/// The resource attributes to add to every resource in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Attributes that replace received ones with the same keys.
    pub replace: BTreeMap<String, String>,
    /// Attributes that are added if their keys are missing.
    pub absent: BTreeMap<String, String>,
}

impl Stamp {
    pub(super) fn replaces(&self, key: &[u8]) -> bool {
        std::str::from_utf8(key).is_ok_and(|key| self.replace.contains_key(key))
    }

    /// The same stamp after redaction. If redaction removes one of its attributes, a received one with the same key is
    /// redacted like any other.
    pub(super) fn redacted(mut self, redact: &Redact) -> Self {
        for attributes in [&mut self.replace, &mut self.absent] {
            attributes.retain(|key, value| match redact.fate(key.as_bytes()) {
                Fate::Kept => true,
                Fate::Dropped => false,
                Fate::Hashed(key) => {
                    *value = key.hash(value.as_bytes());
                    true
                }
            });
        }
        self
    }

    /// The attributes to add to the resource of a `ResourceX`, encoded as fields of a resource.
    pub(super) fn additions(&self, item: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut missing: BTreeMap<&[u8], &str> =
            self.absent.iter().map(|(key, value)| (key.as_bytes(), value.as_str())).collect();
        for attribute in resource_attributes(item) {
            missing.remove(key_of(attribute?)?);
        }
        missing.retain(|key, _| !self.replaces(key));
        let mut additions = Vec::new();
        // This order makes stamping idempotent.
        for (key, value) in missing {
            put_message(&mut additions, resource::ATTRIBUTES, &string_attribute(key, value));
        }
        for (key, value) in &self.replace {
            put_message(&mut additions, resource::ATTRIBUTES, &string_attribute(key.as_bytes(), value));
        }
        Ok(additions)
    }
}

/// The attributes of a `ResourceX`'s resource. It may be in several pieces that a reader merges.
pub(super) fn resource_attributes(item: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    below(item, RESOURCE).flat_map(|resource| {
        let (attributes, malformed) = match resource {
            Ok(resource) => (Some(below(resource, resource::ATTRIBUTES)), None),
            Err(malformed) => (None, Some(Err(malformed))),
        };
        attributes.into_iter().flatten().chain(malformed)
    })
}

/// The messages in a field of a message.
pub(super) fn below(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    fields(message).filter_map(move |field| match field {
        Ok(field) => (field.number == number).then(|| field.bytes()),
        Err(malformed) => Some(Err(malformed)),
    })
}
