//! Removes secrets that a server repeats in its messages: as sent, in another form, or cut.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// How much of a secret must be repeated to be removed, in bytes. Anything shorter would match almost everywhere.
const SHORTEST: usize = 6;

/// The placeholder for a secret.
const HIDDEN: &str = "<secret>";

/// The characters that end a word. A word is removed as a whole, because a cut secret may continue beside the
/// recognised part.
const ENDS: &[u8] = b" \t\r\n\"'`,;()[]{}<>";

/// A part of a form of a secret, in lower case.
type Piece = [u8; SHORTEST];

/// A server's message without the secrets that it repeats, in any form.
pub(crate) fn without<'a, 's>(said: &'a str, secrets: impl Iterator<Item = &'s str>) -> Cow<'a, str> {
    let mut pieces = HashSet::new();
    for secret in secrets {
        for form in forms(secret) {
            pieces.extend(pieces_of(&form.to_ascii_lowercase()));
        }
    }
    let lower = said.to_ascii_lowercase();
    let starts = lower.as_bytes().windows(SHORTEST).enumerate();
    let found: Vec<_> = starts.filter(|(_, piece)| pieces.contains(*piece)).map(|(start, _)| start).collect();
    if found.is_empty() { Cow::Borrowed(said) } else { Cow::Owned(replaced(said, &found)) }
}

fn pieces_of(form: &str) -> Vec<Piece> {
    form.as_bytes().windows(SHORTEST).filter_map(|piece| piece.try_into().ok()).collect()
}

/// A text in which the words that contain the bytes at these positions are hidden.
fn replaced(said: &str, found: &[usize]) -> String {
    let bytes = said.as_bytes();
    let (mut out, mut written) = (String::with_capacity(said.len()), 0);
    for start in found.iter().copied() {
        if start + SHORTEST <= written {
            continue;
        }
        // Both ends are ASCII characters, or the ends of the text.
        let before = bytes[..start].iter().rposition(|byte| ENDS.contains(byte)).map_or(0, |end| end + 1);
        let rest = &bytes[start + SHORTEST..];
        let after = rest.iter().position(|byte| ENDS.contains(byte)).map_or(bytes.len(), |end| start + SHORTEST + end);
        // A secret that contains a space is hidden as one.
        let before = before.max(written);
        let gap = &said[written..before];
        if out.is_empty() || !gap.is_empty() {
            out.push_str(gap);
            out.push_str(HIDDEN);
        }
        written = after;
    }
    out + &said[written..]
}

/// The forms in which a secret may be written: as it is, decoded, and escaped as in JSON, URLs or web pages.
fn forms(secret: &str) -> Vec<String> {
    let mut plain = vec![secret.to_owned()];
    plain.extend(decoded(secret));
    let mut forms = Vec::new();
    for text in plain {
        forms.extend(ESCAPES.map(|escape| escaped(&text, escape)));
        forms.extend(encoded(&text));
        forms.push(text);
    }
    forms
}

/// The password of Basic authentication, or any other text in Base64. The user name is not a secret.
fn decoded(secret: &str) -> Option<String> {
    let unpadded = secret.trim_end_matches('=');
    let bytes = BASE64_STANDARD_NO_PAD.decode(unpadded).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(unpadded)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.split_once(':').map_or(text.as_str(), |(_, password)| password).to_owned())
}

/// A text in Base64, alone or after other text, which shifts it by one or two bytes.
fn encoded(text: &str) -> Vec<String> {
    let shifted = (0..3).map(|shift| [vec![0; shift], text.as_bytes().to_vec()].concat());
    shifted
        .enumerate()
        .flat_map(|(shift, bytes)| {
            // The first characters contain bits of the preceding text.
            let skip = [0, 2, 3][shift];
            let cut = |form: String| form.get(skip..).unwrap_or_default().to_owned();
            [cut(BASE64_STANDARD.encode(&bytes)), cut(BASE64_URL_SAFE_NO_PAD.encode(&bytes))]
        })
        .collect()
}

/// Escapes a character other than a letter or a digit.
type Escape = fn(&mut String, char);

const ESCAPES: [Escape; 8] = [backslash, unicode, percent, percent_twice, plus, decimal, hexadecimal, entity];

fn escaped(text: &str, escape: Escape) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii_alphanumeric() { out.push(character) } else { escape(&mut out, character) }
    }
    out
}

/// As in JSON and most programming languages.
fn backslash(out: &mut String, character: char) {
    out.push('\\');
    out.push(character);
}

fn unicode(out: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _infallible = write!(out, "\\u{unit:04x}");
    }
}

fn percent(out: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        let _infallible = write!(out, "%{byte:02x}");
    }
}

fn percent_twice(out: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        let _infallible = write!(out, "%25{byte:02x}");
    }
}

/// As in forms.
fn plus(out: &mut String, character: char) {
    if character == ' ' { out.push('+') } else { percent(out, character) }
}

fn decimal(out: &mut String, character: char) {
    let _infallible = write!(out, "&#{};", u32::from(character));
}

fn hexadecimal(out: &mut String, character: char) {
    let _infallible = write!(out, "&#x{:x};", u32::from(character));
}

/// As in web pages.
fn entity(out: &mut String, character: char) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&apos;"),
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(said: &str) -> String {
        without(said, ["dGVhbTpodW50ZXIyKy8=", "sk-ab+cd/ef&gh\"ij kl"].into_iter()).into_owned()
    }

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let forms = [
            "sk-ab+cd/ef&gh\"ij kl",
            "SK-AB+CD/EF",
            r"sk-ab+cd\/ef&gh\",
            r"sk-ab\u002bcd\u002fef\u0026gh",
            "sk-ab%2Bcd%2Fef%26gh%22ij%20kl",
            "sk-ab%2bcd%2fef%26gh%22ij+kl",
            "sk%2Dab%252Bcd%252Fef",
            "sk-ab+cd/ef&amp;gh&quot;ij",
            "sk-ab&#43;cd&#47;ef",
            "sk-ab&#x2b;cd&#x2f;ef",
            "team:hunter2+/",
            "hunter2+/",
            "hunter2%2B%2F",
            "dGVhbTpodW50ZXIyKy8=",
            "dGVhbTpodW50ZXIyKy8%3D",
            "c2stYWIrY2QvZWYm",
            "QmVhcmVyIHNrLWFiK2NkL2Vm",
        ];
        for form in forms {
            for (before, after) in [("bad key ", " here"), ("`", "`"), ("{\"key\":\"", "\"}"), ("", "")] {
                let shown = shown(&format!("{before}{form}{after}"));
                for part in ["ab+cd", "cd/ef", "cd%2", "u002", "hunter", "WIrY", "dGVh", "LWFi", "ef&", "ef%26"] {
                    assert!(!shown.contains(part), "{form}: {shown}");
                }
                assert!(shown.starts_with(before) && shown.contains(HIDDEN), "{form}: {shown}");
            }
        }
    }

    #[test]
    fn cut_off_secrets_are_hidden() {
        let secret = "0123456789abcdef";
        for start in 0..=secret.len() - SHORTEST {
            for end in start + SHORTEST..=secret.len() {
                let said = format!("the key …{}… is unknown", &secret[start..end]);
                let shown = without(&said, [secret].into_iter()).into_owned();
                assert_eq!(shown, "the key <secret> is unknown");
            }
        }
    }

    #[test]
    fn useful_details_are_kept() {
        for said in ["401 unauthorized: missing header", "größe <unknown>", "", "sk-ab is short", "teamwork"] {
            assert_eq!(shown(said), said);
        }
        assert_eq!(shown("the key `sk-ab+cd/ef&gh\"ij kl`, of you: wrong"), "the key `<secret>`, of you: wrong");
    }
}
