//! Variables as a shell, or what reads `.env` files, takes them: whatever a value holds, nothing of it acts.

/// Why variables cannot be written.
pub type Inexpressible = String;

/// `export NAME='value'` for sh, bash and zsh; nothing for a value takes the variable out.
pub fn shell(name: &str, value: Option<&str>) -> Result<String, Inexpressible> {
    check(name)?;
    let Some(value) = value else { return Ok(format!("unset {name};\n")) };
    Ok(format!("export {name}={};\n", quoted(value)))
}

/// A word of a command line for sh, bash and zsh, as it is where nothing in it could act.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

/// A value between quotes. Between single ones nothing means anything, and a single quote stands outside of them. An
/// empty pair is not written but for an empty value: zsh's `RC_QUOTES` could take it for a quote.
fn quoted(value: &str) -> String {
    let parts: Vec<_> = value.split('\'').map(|part| wrap(part, "'", part)).collect();
    if value.is_empty() { "''".to_owned() } else { parts.join("\\'") }
}

/// `set -gx NAME 'value'` for fish. A line break is written as its escape, for `eval (…)` would lose it.
pub fn fish(name: &str, value: Option<&str>) -> Result<String, Inexpressible> {
    check(name)?;
    let Some(value) = value else { return Ok(format!("set -e {name};\n")) };
    let parts: Vec<_> =
        value.split('\n').map(|part| wrap(part, "'", &part.replace('\\', "\\\\").replace('\'', "\\'"))).collect();
    let quoted = if value.is_empty() { "''".to_owned() } else { parts.join("\\n") };
    Ok(format!("set -gx {name} {quoted};\n"))
}

/// `NAME='value'`, as far as Docker Compose's, Node's, Python's and Ruby's readers agree on what it means: in quotes
/// they unescape differently, and Python's puts variables in for `${…}` everywhere.
pub fn dotenv(name: &str, value: &str) -> Result<String, Inexpressible> {
    check(name)?;
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    let single = !value.contains(['\'', '\r']) && !value.contains("\\\\") && !value.ends_with('\\');
    let double = !value.contains(['"', '\\', '$', '`', '\r', '\n']);
    if value.contains("${") {
        Err(format!("`{name}` holds a `${{`, which some readers of .env files replace"))
    } else if value.chars().all(bare) {
        Ok(format!("{name}={value}\n"))
    } else if single {
        Ok(format!("{name}='{value}'\n"))
    } else if double {
        Ok(format!("{name}=\"{value}\"\n"))
    } else {
        Err(format!("`{name}` holds quotes, backslashes or line breaks that readers of .env files take differently"))
    }
}

fn wrap(part: &str, quote: &str, quoted: &str) -> String {
    if part.is_empty() { String::new() } else { format!("{quote}{quoted}{quote}") }
}

/// A name that is no word of letters would be read as something else than a name.
pub fn check(name: &str) -> Result<(), Inexpressible> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(format!("no shell has a variable `{name}`"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_quoted() {
        let cases = [
            ("", "''", "''"),
            ("a b", "'a b'", "'a b'"),
            ("'", "\\'", "'\\''"),
            ("it's $(x) `y`", "'it'\\''s $(x) `y`'", "'it\\'s $(x) `y`'"),
            ("a\\\nb\n", "'a\\\nb\n'", "'a\\\\'\\n'b'\\n"),
        ];
        for (value, sh, fish_word) in cases {
            assert_eq!(shell("A", Some(value)).unwrap(), format!("export A={sh};\n"));
            assert_eq!(fish("A", Some(value)).unwrap(), format!("set -gx A {fish_word};\n"));
        }
        assert_eq!((shell("A", None).unwrap(), fish("A", None).unwrap()), ("unset A;\n".into(), "set -e A;\n".into()));
    }

    #[test]
    fn names_that_would_act_are_refused() {
        for name in ["", "1A", "A B", "A;reboot", "$(reboot)", "A\nB", "É"] {
            assert!(shell(name, Some("")).is_err() && fish(name, None).is_err() && dotenv(name, "").is_err(), "{name}");
        }
    }

    #[test]
    fn dotenv_says_what_all_read_alike() {
        assert_eq!(dotenv("A", "https://h:1/p").unwrap(), "A=https://h:1/p\n");
        assert_eq!(dotenv("A", "a # b $C\nd\"\\e").unwrap(), "A='a # b $C\nd\"\\e'\n");
        assert_eq!(dotenv("A", "it's # 5").unwrap(), "A=\"it's # 5\"\n");
        for value in ["${A}", "it's $A", "'\"", "a'\nb", "a b\\", "\\\\host", "a\rb"] {
            assert!(dotenv("A", value).is_err(), "{value:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sh_reads_back_what_was_written(value in "([^\0]|['\"\\\\$`\n!*~ ]){0,40}") {
            let script = format!("{}printf %s \"$A\"", shell("A", Some(&value)).unwrap());
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(output.stdout, value.as_bytes());
            prop_assert!(output.stderr.is_empty());
        }
    }
}
