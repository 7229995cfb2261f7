//! Events and rows of the same requests, in any order.

use proptest::prelude::*;

use super::*;

#[test]
fn without_a_request_id_events_and_rows_are_matched_by_their_numbers() {
    for events_first in [true, false] {
        let fixture = Fixture::new();
        let mut written = Written::new(1);
        written.prompt(0, "p", "words");
        // Two requests that differ only in their times, and one without an event.
        written.answer(1000, None, TOKENS).answer(9000, None, TOKENS).answer(20_000, None, times(2));
        written.cost(-500, &[(OPUS, 0.2, times(4))]);
        fixture.write(&written);
        let session = id(1);
        let events = [
            asked(&session, 1, 1500, TOKENS, 0.05, &[("prompt.id", "p")]),
            asked(&session, 2, 9100, TOKENS, 0.05, &[("prompt.id", "p")]),
            (
                Signal::Logs,
                logs(vec![event(&session, 3, 5, "user_prompt", vec![text("prompt.id", "p"), int("prompt_length", 5)])]),
            ),
        ];
        if !events_first {
            fixture.import();
        }
        let ledger = fixture.ledger();
        if events_first {
            crate::ledger::LEDGER.steps.iter().for_each(|step| step(&ledger).unwrap());
            ledger.pragma_update(None, "user_version", LEDGER.steps.len().cast_signed()).unwrap();
        }
        take(&ledger, &origin("one"), &events);
        for _ in 0..2 {
            fixture.import();
            fixture.write(&written);
        }
        assert_eq!((fixture.requests(), fixture.cost()), (3, 200_000_000), "{events_first}");
        assert_eq!(fixture.ask::<i64>("SELECT count(*) FROM submission"), 1, "{events_first}");
        let known: i64 = fixture.ask("SELECT sum(cost) FROM request WHERE basis = 0");
        assert_eq!(known, 100_000_000);
        let [before, after] = fixture.sums();
        assert_eq!(before, after);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// In any order of events and growing transcripts, each request counts once, the sums equal those of the facts, and
    /// a session that is known in full costs as much as the client reports.
    #[test]
    fn events_and_rows_can_arrive_in_any_order(steps in proptest::collection::vec(0..14_usize, 1..12)) {
        let fixture = Fixture::new();
        fixture.import();
        let tokens = |number: usize| times(i64::try_from(number).unwrap() + 1);
        let name = |number: usize| format!("req_{number}");
        let (mut seen, mut is_whole) = (std::collections::BTreeSet::new(), false);
        for step in steps {
            if step < 6 {
                let number = name(step);
                let more: &[_] = if step % 2 == 0 { &[("request_id", number.as_str())] } else { &[] };
                let after = 1000 * u64::try_from(step).unwrap() + 400;
                let sequence = i64::try_from(step).unwrap();
                take(&fixture.ledger(), &origin("one"), &[asked(&id(1), sequence, after, tokens(step), 0.01, more)]);
                seen.insert(step);
                continue;
            }
            let mut written = Written::new(1);
            written.prompt(0, "p", "words");
            for number in 0..(step - 6).min(6) {
                let request = name(number);
                let request = (number % 2 == 0).then_some(request.as_str());
                written.answer(1000 * i64::try_from(number).unwrap() + 300, request, tokens(number));
                seen.insert(number);
            }
            if step == 13 {
                written.cost(-500, &[(OPUS, 0.06, times(21))]);
                is_whole = true;
            }
            fixture.write(&written);
            fixture.import();
        }
        prop_assert_eq!(fixture.requests(), i64::try_from(seen.len()).unwrap());
        if is_whole {
            prop_assert_eq!(fixture.cost(), 60_000_000);
        }
        let [before, after] = fixture.sums();
        prop_assert_eq!(before, after);
    }
}
