//! Weeks begin and end at midnight of the reader.

use super::*;

#[test]
fn a_week_is_half_open_in_the_readers_time_zone() {
    let mut hand = Hand::new();
    // Midnight between Sunday and Monday in Berlin is 23:00 UTC.
    hand.works(at("2026-11-22T22:59", "ann", "a"), 1);
    hand.works(at("2026-11-22T23:00", "ann", "a"), 10);
    hand.works(at("2026-11-29T22:59", "ann", "a"), 100);
    hand.works(at("2026-11-29T23:00", "ann", "a"), 1000);
    let now: Zoned = "2026-12-10T12:00[Europe/Berlin]".parse().unwrap();
    let period = Period::parse(Some("2026-W48"), false, &now).unwrap();
    let page =
        crate::report::week::page(&LedgerSource::new(&hand.ledger).unwrap(), &period, &Options::default()).unwrap();
    assert_eq!((value(&page, "spend"), value(&page, "spend.before")), (cents(110), cents(1)));
    assert_eq!(sides(&page, "active_people.daily"), (Value::Count(2), Value::Count(2)), "Monday and Sunday");
}

#[test]
fn an_empty_ledger_makes_a_page_without_numbers() {
    let page = Hand::new().page("2026-11-25T12:00", None, &Options::default());
    assert_eq!((value(&page, "spend"), value(&page, "active_people")), (cents(0), Value::Count(0)));
    for line in ["spend_per_active_day", "concentration", "cache_reuse", "edits_accepted", "failures", "speed"] {
        assert_eq!(value(&page, line), Value::None, "{line}");
    }
    assert!(page.sections.is_empty());
}
