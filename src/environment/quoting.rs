//! Quotes variables for shells and for readers of `.env` files, so that no value is ever interpreted.

use std::borrow::Cow;

/// Why variables cannot be written.
pub type Inexpressible = String;

/// `export NAME=value` for sh, bash and zsh. `None` unsets the variable.
pub fn shell(name: &str, value: Option<&str>) -> Result<String, Inexpressible> {
    check(name)?;
    let Some(value) = value else { return Ok(format!("unset {name};\n")) };
    Ok(format!("export {name}={};\n", word(value)))
}

/// A word of a command line for sh, bash and zsh, unquoted if it is safe.
///
/// Single quotes protect everything except themselves, so a single quote stands outside them, escaped. Two quoted parts
/// never touch, because zsh with `RC_QUOTES` reads `''` between them as a quote. `shlex` lets them touch.
pub fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if text.is_empty() {
        return Cow::Borrowed("''");
    }
    // zsh replaces a word that begins with `=` by the path of a command.
    if text.chars().all(is_plain) && !text.starts_with('=') {
        return Cow::Borrowed(text);
    }
    let quoted = |part: &str| if part.is_empty() { String::new() } else { format!("'{part}'") };
    Cow::Owned(text.split('\'').map(quoted).collect::<Vec<_>>().join("\\'"))
}

/// `set -gx NAME 'value'` for fish. A line break is written as an escape, because `eval (…)` would lose it.
pub fn fish(name: &str, value: Option<&str>) -> Result<String, Inexpressible> {
    check(name)?;
    let Some(value) = value else { return Ok(format!("set -e {name};\n")) };
    Ok(format!("set -gx {name} {};\n", fish_word(value)))
}

/// A word of a command line for fish, unquoted if it is safe.
pub fn fish_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let quoted = |part: &str| match part.replace('\\', "\\\\").replace('\'', "\\'") {
        part if part.is_empty() => part,
        part => format!("'{part}'"),
    };
    let parts: Vec<_> = text.split('\n').map(quoted).collect();
    if text.is_empty() { Cow::Borrowed("''") } else { Cow::Owned(parts.join("\\n")) }
}

/// `NAME='value'`, as far as the readers of Docker Compose, Node, Python and Ruby agree on its meaning. They unescape
/// quoted values differently, and Python's expands `${…}` everywhere.
pub fn dotenv(name: &str, value: &str) -> Result<String, Inexpressible> {
    check(name)?;
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    let single = !value.contains(['\'', '\r']) && !value.contains("\\\\") && !value.ends_with('\\');
    let double = !value.contains(['"', '\\', '$', '`', '\r', '\n']);
    if value.contains("${") {
        Err(format!("`{name}` contains `${{`, which some readers of .env files expand"))
    } else if value.chars().all(bare) {
        Ok(format!("{name}={value}\n"))
    } else if single {
        Ok(format!("{name}='{value}'\n"))
    } else if double {
        Ok(format!("{name}=\"{value}\"\n"))
    } else {
        Err(format!(
            "`{name}` contains quotes, backslashes or line breaks that readers of .env files interpret differently"
        ))
    }
}

/// Fails for a name that a shell would not read as a variable's name.
pub fn check(name: &str) -> Result<(), Inexpressible> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(format!("`{name}` is not a valid variable name in a shell"))
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
            ("https://h:1/p", "https://h:1/p", "https://h:1/p"),
            ("'", "\\'", "'\\''"),
            ("=ls", "'=ls'", "'=ls'"),
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
    fn invalid_names_are_refused() {
        for name in ["", "1A", "A B", "A;reboot", "$(reboot)", "A\nB", "É"] {
            assert!(shell(name, Some("")).is_err() && fish(name, None).is_err() && dotenv(name, "").is_err(), "{name}");
        }
    }

    #[test]
    fn dotenv_output_is_the_same_for_all_readers() {
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
