//! Lines of transcripts: their content, bad ones, forgotten ones and very many.

use super::*;

#[test]
fn no_content_enters_the_ledger() {
    const CANARY: &str = "canary-7f3a";
    let fixture = Fixture::new();
    let mut written = Written::new(1);
    let content = json!([{"type": "text", "text": CANARY}, {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": CANARY}}]);
    written.prompt(0, "p", CANARY).block(1000, Some("req"), TOKENS, &content);
    written.row(
        2000,
        json!({"type": "user", "promptId": "p", "toolUseResult": CANARY,
        "message": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": CANARY}]}}),
    );
    written.row(3000, json!({"type": "user", "promptId": "p2", "message": {"role": "user", "content": format!("<command-name>/{CANARY}</command-name>")}}));
    written.row(
        4000,
        json!({"type": "assistant", "uuid": "f", "isApiErrorMessage": true,
        "message": {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": CANARY}], "usage": {}}}),
    );
    fixture.write(&written);
    assert_eq!(fixture.import().facts, 4);
    fixture.ledger().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let bytes = std::fs::read(fixture.0.path().join("ledger-1.db")).unwrap();
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    assert!(bytes.windows(4).any(|window| window == b"Bash"));
}

#[test]
fn forgotten_projects_are_not_imported_again() {
    let fixture = Fixture::new();
    let mut written = simple(1);
    written.cost(-500, &[(OPUS, 0.08, times(2))]);
    fixture.write(&written);
    fixture.write(&simple(2));
    fixture.import();
    let now = morning().as_millisecond() + 1_000_000;
    let ledger = fixture.ledger();
    assert_eq!(forget(&ledger, Forget::Session(&id(1)), now).unwrap().facts, 5);
    assert_eq!(fixture.ask::<i64>("SELECT count(*) FROM cost_state"), 0);
    written.row(4000, json!({"type": "summary"}));
    fixture.write(&written);
    assert_eq!((fixture.import().facts, fixture.requests()), (0, 2));
    let names: i64 = fixture.ask(&format!("SELECT count(*) FROM text WHERE text = '{}'", id(1)));
    assert_eq!(names, 0, "the name is not stored again");
}

#[test]
fn invalid_lines_are_skipped_and_counted() {
    let fixture = Fixture::new();
    let mut written = simple(1);
    let cut = written.lines[1][..written.lines[1].len() / 2].to_owned();
    written.lines.insert(0, cut.clone());
    written.lines.insert(2, written.lines[2].replace("1000", "\"many\""));
    written.lines.insert(3, format!("\"user\"{}", "x".repeat(17 << 20)));
    written.lines.push(cut);
    fixture.write(&written);
    let imported = fixture.import();
    assert_eq!(imported.faults, Faults { faulty: 3, too_long: 1, unreadable: 0 });
    assert_eq!(fixture.requests(), 2);
}

#[test]
fn facts_are_committed_in_parts_and_an_interrupted_import_resumes() {
    let fixture = Fixture::new();
    let mut written = Written::new(1);
    written.prompt(0, "p", "words");
    for number in 0..5000 {
        written.answer(1000 + number, Some(&format!("req_{number}")), TOKENS);
    }
    written.cost(-500, &[(OPUS, 123.456_789, times(5000))]);
    fixture.write(&written);
    let found = find(&[fixture.0.path().join("projects")]);
    let path = fixture.0.path().join("ledger-1.db");
    let (mut commits, mut largest) = (0, 0);
    import(
        &path,
        &found.transcripts,
        &Options::default(),
        |_| Directory::default(),
        |so_far| {
            commits += 1;
            largest = largest.max(so_far.facts);
            if so_far.facts > 0 && so_far.sessions == 0 {
                // Data committed here stays in any case.
                let ledger = crate::store::open(&path).unwrap();
                let count: i64 = ledger.query_row("SELECT count(*) FROM request", [], |row| row.get(0)).unwrap();
                assert!(count > 0);
            }
        },
    )
    .unwrap();
    assert!(commits >= 2 && largest == 5001, "{commits} {largest}");
    assert_eq!((fixture.requests(), fixture.cost()), (5000, 123_456_789_000));
    let [before, after] = fixture.sums();
    assert_eq!(before, after);
}

#[test]
fn rows_without_a_session_are_counted_and_do_not_affect_others() {
    let (fixture, alone) = (Fixture::new(), Fixture::new());
    let mut nameless = simple(1);
    nameless.lines = nameless.lines.iter().map(|line| line.replace(&id(1), "")).collect();
    // Older versions named the files of subagents like this.
    let folder = fixture.0.path().join("projects/-projects-a");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("agent-1.jsonl"), nameless.lines.join("\n")).unwrap();
    let imported = fixture.import();
    assert_eq!(fixture.requests(), 2, "{imported:?}");
    for fixture in [&fixture, &alone] {
        fixture.write(&simple(2));
        fixture.import();
    }
    assert_eq!((fixture.requests(), alone.requests()), (4, 2));
}
