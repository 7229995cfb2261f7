use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::*;
use crate::ledger::{LEDGER, block};
use crate::store::{STORE, Schema, Store, file};
use crate::usage::Measure;

const PAGE: u64 = 4096;

/// The same limit in bytes of memory.
const IN_MEMORY: usize = 4096;

/// A database with rows in tables of each kind, complete in its file.
fn filled(directory: &Path, schema: Schema, rows: i64) -> PathBuf {
    let path = directory.join("store-2.db");
    let connection = file::open(&path, schema, &|_| panic!("nothing is damaged yet")).unwrap();
    fill(&connection, schema, 0..rows);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    path
}

fn fill(connection: &Connection, schema: Schema, rows: std::ops::Range<i64>) {
    connection.execute_batch("BEGIN").unwrap();
    for row in rows {
        let text = format!("{row:016x}{}", "x".repeat(200));
        let statements: &[&str] = if schema.name == "store" {
            &[
                "INSERT INTO set_aside (id, session, destination, fingerprint, signal, place, turn, attempts, received_at, at,
                    size, body) VALUES (?1 + 1, ?2, 'd', x'01', 'logs', 2, 0, 0, 0, 0, 5, zeroblob(5))",
                "INSERT INTO cursor (session, destination, fingerprint, stream, worker, number, offset)
                 VALUES (?2, 'd', x'01', 'logs', 1, 1, ?1)",
                "INSERT INTO totals (id, fingerprint, profile, destination) SELECT 1, x'01', 'p', 'd' WHERE ?1 = 0 AND ?2 != ''",
                "INSERT INTO series (totals, place, body, start, generation, changed_at)
                 VALUES (1, CAST(?2 AS BLOB), zeroblob(100), ?1, 0, 0)",
            ]
        } else {
            &[
                "INSERT INTO text (id, text) VALUES (?1 + 1, ?2)",
                "INSERT INTO context SELECT ?1 + 1, ?1 + 1, 1,1,1,1,1,1,1,1,0,1,1,1,1,1,1,1,1,1 WHERE ?2 != ''",
                "INSERT INTO request SELECT 20000 + ?1 % 7, ?1 * 1234567890123 % 1000000007, 20000 * 86400000 + ?1, ?1 + 1, 0, 1,
                    0, 100, 10, 1, 1, 0, 5, 0, 7, 3, 0, 0, 1 WHERE ?2 != ''",
            ]
        };
        for statement in statements {
            connection.execute(statement, params![row, text]).unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn count(path: &Path, table: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// The pages that hold a table's rows, in order.
fn pages(path: &Path, table: &str) -> Vec<u64> {
    let connection = Connection::open(path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: u32 = connection.query_row(root, [table], |row| row.get(0)).unwrap();
    let (bytes, mut found) = (fs::read(path).unwrap(), Vec::new());
    leaves(&bytes, root as usize, &mut found);
    assert!(found.len() > 4, "{found:?}");
    found
}

fn leaves(bytes: &[u8], page: usize, found: &mut Vec<u64>) {
    let page = (page - 1) * IN_MEMORY;
    let number = |at: usize, length: usize| {
        bytes[page + at..page + at + length].iter().fold(0, |sum, byte| sum * 256 + *byte as usize)
    };
    // Interior pages of tables and of indices (SQLite, *Database File Format*).
    if ![5, 2].contains(&bytes[page]) {
        return found.push((page / IN_MEMORY + 1) as u64);
    }
    let cells = (0..number(3, 2)).map(|cell| number(number(12 + 2 * cell, 2), 4));
    cells.chain([number(8, 4)]).for_each(|child| leaves(bytes, child, found));
}

fn overwrite(path: &Path, offset: u64, length: usize) {
    let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at * 37 % 251).unwrap()).collect();
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&bytes, offset).unwrap();
}

/// Replaces a database, and checks that the new one is sound and that the damaged one has not changed.
#[track_caller]
fn replaced(path: &Path, schema: Schema) -> Replaced {
    let damaged = fs::read(path).unwrap();
    let replaced = replace(path, schema).unwrap();
    assert_eq!(fs::read(&replaced.aside).unwrap(), damaged);
    let connection = Connection::open(path).unwrap();
    assert!(is_sound(&connection, Duration::from_mins(1)).unwrap());
    assert_eq!(notes(path.parent().unwrap()), std::slice::from_ref(&replaced));
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|name| ["fresh", "look"].iter().any(|scratch| name.to_string_lossy().contains(scratch))),
        "{left:?}"
    );
    replaced
}

#[test]
fn a_sound_database_is_copied_completely() {
    for (schema, tables) in [(STORE, &["set_aside", "cursor", "series"][..]), (LEDGER, &["text", "context", "request"])]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = filled(directory.path(), schema, 3000);
        let replaced = replaced(&path, schema);
        assert!(replaced.is_whole, "{replaced:?}");
        for table in tables {
            assert_eq!(count(&path, table), 3000, "{table}");
        }
    }
}

#[test]
fn data_only_in_the_log_is_also_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path(), STORE, 10);
    let connection = crate::store::open(&path).unwrap();
    fill(&connection, STORE, 10..20);
    let replaced = replaced(&path, STORE);
    assert!(replaced.is_whole);
    assert_eq!(count(&path, "set_aside"), 20);
}

#[test]
fn a_bad_page_loses_only_its_rows() {
    for (schema, table) in
        [(STORE, "set_aside"), (STORE, "cursor"), (STORE, "series"), (LEDGER, "request"), (LEDGER, "text")]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = filled(directory.path(), schema, 3000);
        let pages = pages(&path, table);
        overwrite(&path, (pages[pages.len() / 2] - 1) * PAGE, 4096);
        let replaced = replaced(&path, schema);
        let left = count(&path, table);
        assert!((2900..3000).contains(&left) && !replaced.is_whole, "{left} rows of {table} are left");
    }
}

#[test]
fn rows_between_two_bad_pages_are_kept() {
    for (schema, table) in [(STORE, "set_aside"), (LEDGER, "request"), (LEDGER, "text")] {
        let directory = tempfile::tempdir().unwrap();
        let path = filled(directory.path(), schema, 3000);
        let pages = pages(&path, table);
        for bad in [1, pages.len() - 2] {
            overwrite(&path, (pages[bad] - 1) * PAGE, 4096);
        }
        replaced(&path, schema);
        let left = count(&path, table);
        assert!((2500..3000).contains(&left), "{left} rows of {table} are left");
    }
}

#[test]
fn a_bad_header_or_first_page_loses_nothing() {
    for (schema, table) in [(STORE, "set_aside"), (LEDGER, "request")] {
        for length in [16, 100, 4096] {
            let directory = tempfile::tempdir().unwrap();
            let path = filled(directory.path(), schema, 500);
            overwrite(&path, 0, length);
            let replaced = replaced(&path, schema);
            assert_eq!((count(&path, table), replaced.is_whole), (500, false), "{length} bytes");
        }
    }
}

#[test]
fn a_truncated_file_keeps_the_rows_before_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path(), LEDGER, 3000);
    let length = fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(length / 2 / PAGE * PAGE + 100).unwrap();
    let replaced = replaced(&path, LEDGER);
    let left = count(&path, "request");
    assert!((300..3000).contains(&left) && !replaced.is_whole, "{left}");
    // Sums are made from the remaining rows.
    let connection = Connection::open(&path).unwrap();
    let mut requests = 0;
    let mut statement = connection.prepare("SELECT amounts FROM sum").unwrap();
    let blobs = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    for blob in blobs {
        block::each(&blob.unwrap(), |_, told| {
            requests +=
                told.iter().filter(|(at, _)| *at == Measure::Requests.index()).map(|(_, amount)| amount).sum::<i64>();
        });
    }
    assert_eq!(requests, left);
}

#[test]
fn numbers_used_by_facts_are_not_reused() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path(), LEDGER, 3000);
    let last = *pages(&path, "context").last().unwrap();
    overwrite(&path, (last - 1) * PAGE, 4096);
    replaced(&path, LEDGER);
    let connection = Connection::open(&path).unwrap();
    let missing = "SELECT count(*) FROM request WHERE context NOT IN (SELECT id FROM context)";
    assert_eq!(connection.query_row(missing, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert_eq!(count(&path, "request"), 3000);
}

#[test]
fn garbage_and_non_files_are_replaced_by_an_empty_database() {
    let make: [fn(&Path); 4] = [
        |path| fs::write(path, "garbage ".repeat(4096)).unwrap(),
        |path| fs::write(path, "x".repeat(600)).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| std::os::unix::fs::symlink("/nonexistent/place", path).unwrap(),
    ];
    for make in make {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store-2.db");
        make(&path);
        let told = std::cell::RefCell::new(Vec::new());
        let connection = file::open(&path, STORE, &|replaced| told.borrow_mut().push(replaced.clone())).unwrap();
        assert_eq!(connection.query_row("SELECT count(*) FROM session", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        assert!(matches!(&told.borrow()[..], [one] if one.rows == 0 && fs::symlink_metadata(&one.aside).is_ok()));
    }
}

#[test]
fn only_the_last_damaged_files_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store-2.db");
    for number in 0..6 {
        fs::write(&path, format!("garbage {number} ").repeat(1000)).unwrap();
        replace(&path, STORE).unwrap();
    }
    let notes = notes(directory.path());
    assert_eq!(notes.len(), 3);
    assert!(fs::read_to_string(&notes[2].aside).unwrap().starts_with("garbage 5"));
}

/// Two collectors have the database open when a page becomes unreadable. The one that reads the page replaces the
/// database, and the other continues with the new one.
#[tokio::test]
async fn open_handles_switch_to_the_new_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path(), STORE, 3000);
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let start = || {
        let told = std::sync::Arc::clone(&told);
        Store::start(&path, STORE, move |replaced| told.lock().unwrap().push(replaced.clone())).unwrap()
    };
    let (one, other) = (start(), start());
    let look =
        |connection: &Connection| connection.query_row("SELECT count(*) FROM backoff", [], |row| row.get::<_, i64>(0));
    assert_eq!((one.read(look).await.unwrap(), other.read(look).await.unwrap()), (0, 0));
    let pages = pages(&path, "set_aside");
    overwrite(&path, (pages[pages.len() / 2] - 1) * PAGE, 4096);
    let sum = |connection: &Connection| {
        connection.query_row("SELECT sum(length(body) + length(session) - 211) FROM set_aside NOT INDEXED", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    let left = one.read(sum).await.unwrap();
    assert!(left > 0 && left / 10 < 3000, "{left}");
    other.commit(|connection| connection.execute("DELETE FROM cursor", [])).await.unwrap();
    assert_eq!(
        one.read(|connection| connection.query_row("SELECT count(*) FROM cursor", [], |row| row.get::<_, i64>(0)))
            .await
            .unwrap(),
        0
    );
    assert_eq!(told.lock().unwrap().len(), 1);
    // The same for a writer.
    let pages = self::pages(&path, "series");
    overwrite(&path, (pages[pages.len() / 2] - 1) * PAGE, 4096);
    other.commit(|connection| connection.execute("UPDATE series SET refusals = 1", [])).await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[test]
fn errors_do_not_show_sqlites_messages() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    fs::write(&path, "garbage ".repeat(4096)).unwrap();
    let error = crate::store::open_to_read(&path).unwrap_err();
    let error = anyhow::Error::from(StoreError::from(error)).context("looking");
    assert!(is_among(&error));
    let said = in_words(error).to_string();
    assert!(said.contains("its file is damaged") && !said.contains("not a database"), "{said}");
    let other = in_words(anyhow::anyhow!("something else"));
    assert_eq!((is_among(&other), other.to_string().as_str()), (false, "something else"));
}
