//! Small groups show no rows for persons.

use super::*;

/// Every name that the page shows.
fn names(page: &Page) -> Vec<String> {
    let values = page.sections.iter().flat_map(|section| section.rows.iter().flatten());
    let named = values.filter_map(|value| match value {
        Value::Text(text) if text.starts_with("person-") => Some(text.clone()),
        _ => None,
    });
    named.collect()
}

fn group(size: usize) -> Hand {
    let mut hand = Hand::new();
    for number in 0..size {
        let (person, session) = (format!("person-{number}"), format!("session-{number}"));
        for (day, spent) in [("2026-11-19", 10), ("2026-11-20", 10), ("2026-11-23", 10), ("2026-11-24", 500)] {
            hand.works(at(&format!("{day}T10:00"), &person, &session), spent);
        }
        hand.works(at("2026-11-20T10:00", &format!("person-gone-{number}"), "gone"), 10);
    }
    hand
}

#[test]
fn fewer_than_five_people_have_no_rows() {
    let options = Options { by: Some(By::Person), ..Options::default() };
    let page = group(4).page("2026-12-02T12:00", Some("2026-W48"), &options);
    assert_eq!(names(&page), Vec::<String>::new());
    assert!(page.notes.iter().any(|note| note.contains("fewer than 5 people")), "{:?}", page.notes);
    let line = |id| page.lines.iter().find(|line| line.figure.id == id).unwrap();
    assert!(line("cache_reuse").beside.is_empty(), "a worst person is a person");
    assert_eq!(value(&page, "hints.days"), Value::Count(4), "they are counted");
    let page = group(5).page("2026-12-02T12:00", Some("2026-W48"), &options);
    assert_eq!(names(&page).len(), 5 + 5 + 5, "gone, days, rows");
    let page = group(4).page("2026-12-02T12:00", Some("2026-W48"), &Options { persons: true, ..options });
    assert_eq!(names(&page).len(), 4 + 4 + 4);
}
