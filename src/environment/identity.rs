//! Who the telemetry belongs to: resource attributes and the service name, from all places that can set them.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{MAXIMUM_VALUE, RESOURCE_ATTRIBUTES, SERVICE_NAME};
use crate::profile::attribute_key;

/// Every character except those that are unambiguous in the variable.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

/// The maximum length of `OTEL_RESOURCE_ATTRIBUTES`, in bytes. A collector adds what is left out. Encoding may triple
/// the length, Linux allows 128 KiB for one variable, and programs that Claude Code starts inherit it.
pub(super) const MAXIMUM_ATTRIBUTES: usize = 64 * 1024;

/// The resource attribute with the service name.
const SERVICE: &str = "service.name";

/// The variables of a program: the user's own attributes and the profile's `resource` within `room` bytes, and the
/// service name if the profile sets one.
pub(super) fn of_a_program(
    mut resource: BTreeMap<String, String>,
    inherited: &BTreeMap<String, String>,
    room: usize,
) -> BTreeMap<String, String> {
    let own = inherited.get(RESOURCE_ATTRIBUTES).map(String::as_str).unwrap_or_default();
    // As a resource attribute it would be copied to every data point.
    let service = resource.remove(SERVICE).map(|service| (SERVICE_NAME.to_owned(), service));
    let attributes = resource_attributes(entries(own), &resource, room);
    service.into_iter().chain([(RESOURCE_ATTRIBUTES.to_owned(), attributes)]).collect()
}

/// The variables of Claude Code: the same, where `said` are the variables of all other places in order of precedence.
/// Includes the service name if any of them sets one.
pub(super) fn of_claude_code(
    mut resource: BTreeMap<String, String>,
    said: &[&BTreeMap<String, String>],
) -> BTreeMap<String, String> {
    let value = |variables: &BTreeMap<String, String>, name: &str| variables.get(name).cloned().unwrap_or_default();
    let service = said.iter().find_map(|variables| {
        let named = Some(value(variables, SERVICE_NAME)).filter(|name| !name.is_empty());
        named.or_else(|| {
            entries(&value(variables, RESOURCE_ATTRIBUTES)).rfind(|(key, _)| key == SERVICE).map(|(_, name)| name)
        })
    });
    let service = resource.remove(SERVICE).or(service);
    let mut own = BTreeMap::new();
    for variables in said.iter().rev() {
        own.extend(entries(&value(variables, RESOURCE_ATTRIBUTES)));
    }
    own.remove(SERVICE);
    let service = service.map(|service| (SERVICE_NAME.to_owned(), service));
    let attributes = resource_attributes(own.into_iter(), &resource, MAXIMUM_ATTRIBUTES);
    service.into_iter().chain([(RESOURCE_ATTRIBUTES.to_owned(), attributes)]).collect()
}

/// `OTEL_RESOURCE_ATTRIBUTES`: the user's own entries, then the profile's, which take precedence. Values that are too
/// long for Claude Code are left to the collector, which adds every attribute of the profile anyway. If there is not
/// enough room, all of the profile's are left to it, and the user's are encoded only where needed to separate entries.
fn resource_attributes(
    own: impl Iterator<Item = (String, String)>,
    profile: &BTreeMap<String, String>,
    room: usize,
) -> String {
    let fits = |value: &str| value.chars().count() <= MAXIMUM_VALUE;
    let own: Vec<_> = own.filter(|(key, value)| !profile.contains_key(key) && fits(value)).collect();
    let all = own.iter().map(|(key, value)| (key, value)).chain(profile.iter().filter(|(_, value)| fits(value)));
    let encode = |(key, value): (&String, &String)| format!("{key}={}", utf8_percent_encode(value, RESERVED));
    let all = all.map(encode).collect::<Vec<_>>().join(",");
    if all.len() <= room {
        return all;
    }
    let parted = own.iter().map(|(key, value)| format!("{key}={}", value.replace('%', "%25").replace(',', "%2C")));
    parted.collect::<Vec<_>>().join(",")
}

/// The entries that a client accepts.
fn entries(text: &str) -> impl DoubleEndedIterator<Item = (String, String)> + '_ {
    text.split(',').filter_map(|entry| {
        let (key, value) = entry.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        Some((key.trim().to_owned(), value)).filter(|(key, _)| attribute_key(key).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn attributes_are_encoded_and_the_profile_takes_precedence() {
        let profile = variables(&[("team.id", "a, b=c%\"é😀"), ("long", &"x".repeat(256))]);
        assert_eq!(
            resource_attributes(entries("team.id=forged,mine=1"), &profile, usize::MAX),
            "mine=1,team.id=a%2C%20b%3Dc%25%22%C3%A9%F0%9F%98%80"
        );
        let own = "team.id=forged, mine=é,other=a%2Cb%20%25";
        assert_eq!(resource_attributes(entries(own), &profile, 40), "mine=é,other=a%2Cb %25");
    }

    #[test]
    fn the_service_name_with_the_highest_precedence_is_used() {
        let given = variables(&[(RESOURCE_ATTRIBUTES, "a=given")]);
        let around = variables(&[(RESOURCE_ATTRIBUTES, "service.name=my%2Dbot,a=around,b=around")]);
        let user = variables(&[(SERVICE_NAME, "theirs"), (RESOURCE_ATTRIBUTES, "a=user,b=user,c=user")]);
        let of = |profile: &BTreeMap<String, String>, said: &[&BTreeMap<String, String>]| {
            let found = of_claude_code(profile.clone(), said);
            (found.get(SERVICE_NAME).cloned(), found[RESOURCE_ATTRIBUTES].clone())
        };
        let profile = BTreeMap::new();
        let attributes = "a=given,b=around,c=user".to_owned();
        assert_eq!(of(&profile, &[&given, &around, &user]), (Some("my-bot".to_owned()), attributes));
        let attributes = "a=user,b=user,c=user".to_owned();
        assert_eq!(of(&profile, &[&user]), (Some("theirs".to_owned()), attributes));
        let profile = variables(&[("service.name", "ours"), ("c", "profile")]);
        let attributes = "a=around,b=around,c=profile".to_owned();
        assert_eq!(of(&profile, &[&around, &user]), (Some("ours".to_owned()), attributes));
        assert_eq!(of(&BTreeMap::new(), &[]), (None, String::new()));
    }
}
