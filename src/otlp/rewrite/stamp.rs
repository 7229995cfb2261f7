//! Resource attributes that a profile gives to every resource.

use std::collections::BTreeMap;

use super::attribute::{key_of, string_attribute};
use super::redact::{Fate, Redact};
use super::shape::{RESOURCE, RESOURCE_ATTRIBUTES};
use crate::otlp::wire::{Malformed, fields, put_message};

/// The resource attributes that every resource of a request is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// These take the place of whatever came under their keys.
    pub replace: BTreeMap<String, String>,
    /// These are added where nothing came under their keys.
    pub absent: BTreeMap<String, String>,
}

impl Stamp {
    pub(super) fn replaces(&self, key: &[u8]) -> bool {
        std::str::from_utf8(key).is_ok_and(|key| self.replace.contains_key(key))
    }

    /// The same with what is redacted of it. What came under a key that is gone by that is redacted like anything else.
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

    /// The attributes to add to a resource that is in a `ResourceX`, encoded as fields of a resource.
    pub(super) fn additions(&self, item: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut missing: BTreeMap<&[u8], &str> =
            self.absent.iter().map(|(key, value)| (key.as_bytes(), value.as_str())).collect();
        for attribute in resource_attributes(item) {
            missing.remove(key_of(attribute?)?);
        }
        missing.retain(|key, _| !self.replaces(key));
        let mut additions = Vec::new();
        // In this order stamping twice is stamping once.
        for (key, value) in missing {
            put_message(&mut additions, RESOURCE_ATTRIBUTES, &string_attribute(key, value));
        }
        for (key, value) in &self.replace {
            put_message(&mut additions, RESOURCE_ATTRIBUTES, &string_attribute(key.as_bytes(), value));
        }
        Ok(additions)
    }
}

/// The attributes of a `ResourceX`'s resource, which may come in several pieces that a reader merges.
pub(super) fn resource_attributes(item: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    below(item, RESOURCE).flat_map(|resource| {
        let (attributes, malformed) = match resource {
            Ok(resource) => (Some(below(resource, RESOURCE_ATTRIBUTES)), None),
            Err(malformed) => (None, Some(Err(malformed))),
        };
        attributes.into_iter().flatten().chain(malformed)
    })
}

/// The messages that stand in a field of a message.
pub(super) fn below(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    fields(message).filter_map(move |field| match field {
        Ok(field) => (field.number == number).then(|| field.bytes()),
        Err(malformed) => Some(Err(malformed)),
    })
}
