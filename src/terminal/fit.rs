//! Texts that fit a width in terminal cells: shortened, or wrapped between words. Pure.

use unicode_width::UnicodeWidthStr;

/// Shortens a text to at most `width` cells: a path in the middle, anything else at the end.
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    if text.starts_with(['/', '~']) && text.contains('/') && width > 6 {
        let last = text.rsplit('/').next().unwrap_or_default();
        // The end of a path is more informative than its beginning.
        let back = (last.width().min(width - 3) + 1).min(width - 1);
        return format!("{}…{}", beginning(text, width.saturating_sub(1 + back)), end(text, back));
    }
    format!("{}…", beginning(text, width - 1))
}

/// Wraps a text between words to lines of at most `width` cells. Longer words are split.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        let line = lines.last().map_or(0, |line| line.width());
        if line > 0 && line + 1 + word.width() > width {
            lines.push(String::new());
        } else if line > 0 {
            word.insert(0, ' ');
        }
        while word.width() > width {
            let part = beginning(&word, width).to_owned();
            // A character that is wider than the line gets its own line.
            let part = if part.is_empty() { word.chars().take(1).collect() } else { part };
            word.drain(..part.len());
            lines.push(part);
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&word);
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The longest prefix of a text that is at most `width` cells wide. Joined characters take fewer cells together than
/// separately.
fn beginning(text: &str, width: usize) -> &str {
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    let end = ends.take_while(|end| text[..*end].width() <= width).last().unwrap_or(0);
    &text[..end]
}

/// The longest suffix of a text that is at most `width` cells wide.
fn end(text: &str, width: usize) -> &str {
    let starts = text.char_indices().rev().map(|(at, _)| at);
    let start = starts.take_while(|start| text[*start..].width() <= width).last().unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shortened_in_its_middle() {
        assert_eq!(shorten("~/work/clients/acme/api", 16), "~/work/clie…/api");
        assert_eq!(shorten("~/work/api", 16), "~/work/api");
        assert_eq!(shorten("a-very-long-branch-name", 10), "a-very-lo…");
        assert_eq!(shorten("日本語のプロジェクト", 7), "日本語…");
    }

    #[test]
    fn a_word_longer_than_a_line_is_split() {
        assert_eq!(wrapped("see https://example.com/a/b now", 12), ["see", "https://exam", "ple.com/a/b", "now"]);
        assert_eq!(wrapped("", 10), Vec::<String>::new());
        assert_eq!(wrapped("日本", 1), ["日", "本"]);
    }
}
