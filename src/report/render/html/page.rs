//! The skeleton of a page: one file that asks for nothing else and works without its script.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::markup::Html;

const STYLE: &str = include_str!("page.css");

/// Makes the columns of tables sortable. Everything else works without it.
const SCRIPT: &str = include_str!("sort.js");

/// A page: its frame, and the HTML of [`section`]s and [`cards`].
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The heading, which is the title of the window as well.
    pub title: String,
    /// What it is about, in a line below: the range, the filter, when it was made.
    pub about: Vec<String>,
    /// Something that a reader has to know before everything else.
    pub warning: Option<String>,
    /// The sections.
    pub body: Html,
    /// Notes that a reader needs to interpret the numbers.
    pub notes: Vec<String>,
}

/// A number that a reader looks for first, with further ones.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// What it is about.
    pub title: String,
    /// The number.
    pub figure: String,
    /// What the number is compared with.
    pub change: Option<String>,
    /// Further numbers, in phrases such as `12 requests`.
    pub facts: Vec<String>,
}

/// How much of a page a section takes where there is space for several beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// A column.
    Column,
    /// All columns.
    Full,
}

/// The whole file. Its content security policy allows nothing but its own style and script, by their hashes.
pub fn page(page: &Page) -> String {
    let mut html = Html::new();
    html.markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.markup("<meta http-equiv=\"Content-Security-Policy\"").attribute("content", policy()).markup(">\n");
    html.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.markup("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\"");
    html.attribute("content", concat!("ccrun ", env!("CARGO_PKG_VERSION"))).markup(">\n<title>").text(&page.title);
    html.markup("</title>\n<style>").markup(STYLE).markup("</style>\n</head>\n<body>\n<header>\n<h1>");
    html.text(&page.title).markup("</h1>\n");
    if !page.about.is_empty() {
        html.markup("<p class=\"about\">").html(&phrases(&page.about)).markup("</p>\n");
    }
    if let Some(warning) = &page.warning {
        html.markup("<p class=\"warning\">").text(warning).markup("</p>\n");
    }
    html.markup("</header>\n<main>\n").html(&page.body).markup("</main>\n");
    if !page.notes.is_empty() {
        html.markup("<footer>\n<h2>Notes</h2>\n<ul>\n");
        for note in &page.notes {
            html.markup("<li>").text(note).markup("</li>\n");
        }
        html.markup("</ul>\n</footer>\n");
    }
    html.markup("<script>").markup(SCRIPT).markup("</script>\n</body>\n</html>\n");
    html.into_text()
}

fn policy() -> String {
    let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(digest(&SHA256, text.as_bytes())));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )
}

/// A part of the page under a heading.
pub fn section(heading: &str, width: Width, body: &Html) -> Html {
    let mut html = Html::new();
    html.markup(if width == Width::Full { "<section class=\"full\">\n<h2>" } else { "<section>\n<h2>" });
    html.text(heading).markup("</h2>\n").html(body).markup("</section>\n");
    html
}

/// Two pieces, beside each other where there is space: a chart and its table.
pub fn pair(chart: &Html, table: &Html) -> Html {
    let mut html = Html::new();
    html.markup("<div class=\"pair\">\n<div>")
        .html(chart)
        .markup("</div>\n<div>")
        .html(table)
        .markup("</div>\n</div>\n");
    html
}

/// A piece that a reader opens.
pub fn folded(summary: &str, piece: &Html) -> Html {
    let mut html = Html::new();
    html.markup("<details>\n<summary>").text(summary).markup("</summary>\n").html(piece).markup("</details>\n");
    html
}

/// Cards in a row.
pub fn cards(cards: &[Card]) -> Html {
    let mut html = Html::new();
    html.markup("<div class=\"cards\">\n");
    for card in cards {
        html.markup("<section>\n<h2>").text(&card.title).markup("</h2>\n<p class=\"figure\">").text(&card.figure);
        html.markup("</p>\n");
        if let Some(change) = &card.change {
            html.markup("<p class=\"change\">").text(change).markup("</p>\n");
        }
        if !card.facts.is_empty() {
            html.html(&list(&card.facts));
        }
        html.markup("</section>\n");
    }
    html.markup("</div>\n");
    html
}

/// A list of short phrases.
pub fn list(items: &[String]) -> Html {
    let mut html = Html::new();
    html.markup("<ul class=\"facts\">\n");
    for item in items {
        html.markup("<li>").text(item).markup("</li>\n");
    }
    html.markup("</ul>\n");
    html
}

/// A paragraph.
pub fn paragraph(text: &str) -> Html {
    let mut html = Html::new();
    html.markup("<p>").text(text).markup("</p>\n");
    html
}

fn phrases(phrases: &[String]) -> Html {
    let mut html = Html::new();
    for phrase in phrases {
        html.markup("<span>").text(phrase).markup("</span> ");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
    }

    #[test]
    fn the_policy_has_the_hashes_of_what_the_page_holds() {
        let page = page(&Page { title: "A <b> title".to_owned(), ..Page::default() });
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
        for (directive, start, end) in [("style-src", "<style>", "</style>"), ("script-src", "<script>", "</script>")] {
            let hash = STANDARD.encode(digest(&SHA256, between(&page, start, end).as_bytes()));
            assert!(policy.contains(&format!("{directive} 'sha256-{hash}'")), "{policy}");
        }
        assert!(policy.starts_with("default-src 'none'; "));
        assert!(page.contains("<title>A &lt;b&gt; title</title>") && page.contains("<h1>A &lt;b&gt; title</h1>"));
        assert!(!page.contains(" style=") && !page.contains(" onclick") && !page.contains("http://"));
    }

    #[test]
    fn nothing_of_a_page_is_there_for_nothing() {
        let page = page(&Page { title: "Usage".to_owned(), ..Page::default() });
        for part in ["<footer>", "class=\"about\">", "class=\"warning\">"] {
            assert!(!page.contains(part), "{part}");
        }
        assert!(!cards(&[Card::default()]).into_text().contains("<ul"));
    }
}
