use std::fs::File;
use std::io::{Read, Write as _};
use std::path::PathBuf;

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Delta;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::ledger::tests::{Request, asked, measured, origin, take};
use crate::ledger::{Forget, LEDGER, forget, rebuild};
use crate::usage::samples::morning;

/// A machine with a ledger.
struct Machine(TempDir);

impl Machine {
    fn new(id: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let ledger = machine.ledger();
        LEDGER.steps.iter().for_each(|step| step(&ledger).unwrap());
        ledger.pragma_update(None, "user_version", LEDGER.steps.len().cast_signed()).unwrap();
        ledger.execute("UPDATE meta SET machine = ?1", [id]).unwrap();
        machine
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("ledger-1.db")
    }

    fn ledger(&self) -> Connection {
        crate::store::open(&self.path()).unwrap()
    }

    fn take(&self, session: &str, requests: &[Request]) {
        take(&self.ledger(), &origin(session), requests);
    }

    /// Exports everything into a file.
    fn export(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        write(&self.ledger(), i64::MIN, false, File::create(&path).unwrap()).unwrap();
        path
    }

    fn merge(&self, path: &PathBuf) -> Merged {
        let merged = merge(&self.path(), &mut File::open(path).unwrap()).unwrap();
        let ledger = self.ledger();
        let transaction = ledger.unchecked_transaction().unwrap();
        let before = dump(&transaction);
        rebuild(&transaction).unwrap();
        assert_eq!(dump(&transaction), before, "the sums equal those of the facts");
        merged
    }
}

/// Facts and sums with names instead of the numbers that each ledger assigns.
fn dump(ledger: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    let queries = [
        "SELECT r.identity, r.at, m.text, r.cost, r.input, x.text, s.text FROM request r JOIN text m ON m.id = r.model
         JOIN context c ON c.id = r.context JOIN text x ON x.id = c.machine JOIN text s ON s.id = c.session",
        "SELECT count(*), sum(length(amounts)) FROM sum",
        "SELECT count(*), sum(length(amounts)) FROM prompt_sum",
        "SELECT count(*) FROM twin",
        "SELECT amounts FROM counter",
        "SELECT t.text, length(b.amounts), b.wins FROM balance b JOIN text t ON t.id = b.session",
    ];
    for query in queries {
        let mut statement = ledger.prepare(query).unwrap();
        let count = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..count).map(|index| Ok(format!("{:?}", row.get_ref(index)?))).collect::<rusqlite::Result<Vec<_>>>()
        });
        all.extend(rows.unwrap().map(|row| row.unwrap().join(" ")));
    }
    all.sort();
    all
}

const OPUS: &str = "claude-opus-5-5";

#[test]
fn merging_twice_and_in_any_order_changes_nothing() {
    let (a, b) = (Machine::new("aaaa"), Machine::new("bbbb"));
    a.take("one", &[asked("a", 1, 5, OPUS), measured("a", [0, 9], Delta), asked("both", 7, 9, OPUS)]);
    b.take("two", &[asked("b", 1, 5, OPUS), asked("b", 2, 7, "other"), asked("both", 7, 9, OPUS)]);
    let (of_a, of_b) = (a.export("a"), b.export("b"));
    assert_eq!(a.merge(&of_b).facts, 2);
    let merged = b.merge(&of_a);
    assert_eq!((merged.facts, merged.moved, merged.machine.as_str()), (2, 1, "aaaa"));
    assert_eq!(dump(&a.ledger()), dump(&b.ledger()));
    let before = dump(&a.ledger());
    for file in [&of_b, &of_a, &b.export("b2")] {
        let again = a.merge(file);
        assert_eq!((again.facts, again.moved, again.skipped), (0, 0, 0));
    }
    assert_eq!(dump(&a.ledger()), before);
    let third = Machine::new("cccc");
    third.merge(&of_b);
    third.merge(&of_a);
    assert_eq!(dump(&third.ledger()), before);
}

#[test]
fn growing_metrics_keep_their_values() {
    let (a, b) = (Machine::new("aaaa"), Machine::new("bbbb"));
    a.take("one", &[measured("a", [0, 9], Delta)]);
    let early = a.export("early");
    b.merge(&early);
    a.take("one", &[measured("a", [9, 18], Delta)]);
    let late = a.export("late");
    for file in [&late, &early, &late] {
        b.merge(file);
    }
    assert_eq!(dump(&a.ledger()), dump(&b.ledger()));
}

#[test]
fn forgetting_also_applies_on_other_machines_and_is_permanent() {
    let (a, b) = (Machine::new("aaaa"), Machine::new("bbbb"));
    a.take("one", &[asked("gone", 1, 5, OPUS), asked("kept", 2, 5, OPUS)]);
    let early = a.export("early");
    b.merge(&early);
    let now = morning().as_millisecond() + 1000;
    forget(&a.ledger(), Forget::Session("gone"), now).unwrap();
    assert_eq!(a.merge(&early).facts, 0, "importing an own export does not restore it");
    assert_eq!(b.merge(&a.export("late")).forgotten, 1);
    assert_eq!(dump(&a.ledger()), dump(&b.ledger()));
}

#[test]
fn an_export_contains_only_the_machines_own_facts() {
    let (a, b) = (Machine::new("aaaa"), Machine::new("bbbb"));
    a.take("one", &[asked("a", 1, 5, OPUS)]);
    b.take("two", &[asked("b", 1, 5, OPUS)]);
    b.merge(&a.export("a"));
    let (bytes, written) = write(&b.ledger(), i64::MIN, true, Vec::new()).unwrap();
    assert_eq!(written.facts, 1);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert!(text.contains("\"b\"") && !text.contains("\"a\""), "{text}");
    let since = morning().as_millisecond() + 6;
    assert_eq!(write(&b.ledger(), since, false, Vec::new()).unwrap().1.facts, 0);
}

#[test]
fn an_invalid_file_is_rejected_and_changes_nothing() {
    let a = Machine::new("aaaa");
    a.take("one", &[asked("a", 1, 5, OPUS)]);
    let whole = std::fs::read(a.export("a")).unwrap();
    let refused = |bytes: &[u8]| {
        let b = Machine::new("bbbb");
        let path = b.0.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let error = merge(&b.path(), &mut File::open(&path).unwrap()).unwrap_err();
        let facts: i64 = b.ledger().query_row("SELECT count(*) FROM request", [], |row| row.get(0)).unwrap();
        assert_eq!(facts, 0);
        error.to_string()
    };
    let packed = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    for bytes in [&b"text"[..], &[], &whole[..whole.len() / 2], &whole[..whole.len() - 3]] {
        assert!(refused(bytes).contains("damaged"), "{}", refused(bytes));
    }
    assert!(
        refused(&packed(b"{\"format\":\"ccrun-ledger\",\"version\":9}\n{\"end\":1}\n"))
            .contains("newer ccrun (format version 9")
    );
    assert!(refused(&packed(b"{\"format\":\"other\"}\n{\"end\":1}\n")).contains("damaged"));
    let endless =
        b"[\"text\",1,\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]\n"
            .repeat(100_000);
    let head = packed(b"{\"format\":\"ccrun-ledger\",\"version\":1}\n");
    let endless = [head, packed(&endless)].concat();
    assert!(refused(&endless).contains("a hundred times its size"), "{}", refused(&endless));
}
