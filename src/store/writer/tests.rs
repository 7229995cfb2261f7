use super::*;
use crate::store::damage::with_suffix;

#[test]
fn unused_memory_is_returned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store-2.db");
    let connection = crate::store::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE blob (bytes BLOB);
             INSERT INTO blob SELECT zeroblob(4096000) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9));
             DELETE FROM blob;",
        )
        .unwrap();
    let free = || connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = free();
    assert!(before > SPARE_PAGES + PAGES_AT_ONCE, "{before}");
    give_back(&connection).unwrap();
    assert_eq!(free(), before - PAGES_AT_ONCE);
    (0..10).for_each(|_| give_back(&connection).unwrap());
    assert_eq!(free(), SPARE_PAGES);
}

#[test]
fn the_log_is_reused_after_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store-2.db");
    let connection = crate::store::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE blob (bytes BLOB)").unwrap();
    let grow = || connection.execute("INSERT INTO blob VALUES (zeroblob(1000000))", []).unwrap();
    let length = || std::fs::metadata(with_suffix(&path, "-wal")).unwrap().len().cast_signed();
    while file::log_size(&connection).unwrap() < crate::store::LOG {
        assert!(length() < crate::store::LOG + 2_000_000);
        grow();
    }
    file::write_back(&connection).unwrap();
    assert_eq!(file::log_size(&connection).unwrap(), 0);
    grow();
    assert!(file::log_size(&connection).unwrap() < 2_000_000);
    assert_eq!(length(), crate::store::LOG, "the log does not grow");
}

#[tokio::test]
async fn the_log_is_bounded_under_constant_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store-2.db");
    let store = Store::start(&path, crate::store::STORE, |_| {}).unwrap();
    store.commit(|connection| connection.execute_batch("CREATE TABLE blob (bytes BLOB)")).await.unwrap();
    let write = |store: Store| async move {
        store.commit(|connection| connection.execute("INSERT INTO blob VALUES (zeroblob(100000))", [])).await
    };
    let mut writing: tokio::task::JoinSet<_> = (0..800).map(|_| write(store.clone())).collect();
    let mut longest = 0;
    while let Some(written) = writing.join_next().await {
        written.unwrap().unwrap();
        longest = longest.max(std::fs::metadata(with_suffix(&path, "-wal")).unwrap().len());
    }
    let group = GROUP as u64 * 110_000;
    assert!(longest < 2 * crate::store::LOG.cast_unsigned() + group, "{longest}");
}

#[tokio::test]
async fn a_failing_change_affects_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(&directory.path().join("store-2.db"), crate::store::STORE, |_| {}).unwrap();
    store.commit(|connection| connection.execute_batch("CREATE TABLE t (x UNIQUE)")).await.unwrap();
    // The thread is held up until all others wait, so that they are one group.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let busy = store.read(move |_| {
        wait.recv().ok();
        Ok(())
    });
    let insert = |x: i64| store.commit(move |connection| connection.execute("INSERT INTO t VALUES (?1)", [x]));
    let release = async {
        while store.work.capacity() > QUEUE - 4 {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
    };
    let (kept, one, again, two, three, ()) = tokio::join!(busy, insert(1), insert(1), insert(2), insert(3), release);
    kept.unwrap();
    assert_eq!([one, two, three].map(Result::unwrap), [1, 1, 1]);
    assert!(matches!(again, Err(StoreError::Database(_))));
    let sum = store.read(|connection| connection.query_row("SELECT sum(x) FROM t", [], |row| row.get::<_, i64>(0)));
    assert_eq!(sum.await.unwrap(), 6);
}

#[tokio::test]
async fn reads_see_committed_data_and_take_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store-2.db");
    let store = Store::start(&path, crate::store::STORE, |_| {}).unwrap();
    store.commit(|connection| connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (7)")).await.unwrap();
    // Another process holds the write lock for a long time.
    let lock = File::open(path.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let read = store.read(|connection| connection.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)));
    assert_eq!(read.await.unwrap(), 7);
    let failed = store.read(|connection| connection.query_row("SELECT x FROM u", [], |row| row.get::<_, i64>(0)));
    assert!(failed.await.is_err());
}

/// Removing the log of an open store would remove its last commits, so they are written into the database.
#[tokio::test]
async fn commits_in_a_removed_log_are_saved() {
    for removed in [&["-wal"][..], &["-shm"], &["-wal", "-shm"]] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store-2.db");
        let start = || Store::start(&path, crate::store::STORE, |replaced| panic!("{replaced:?}")).unwrap();
        let (one, other) = (start(), start());
        one.commit(|connection| connection.execute_batch("CREATE TABLE t (x)")).await.unwrap();
        for store in [&one, &other, &one] {
            store.commit(|connection| connection.execute("INSERT INTO t VALUES (7)", [])).await.unwrap();
        }
        for suffix in removed {
            std::fs::remove_file(with_suffix(&path, suffix)).unwrap();
        }
        let sum =
            |connection: &Connection| connection.query_row("SELECT sum(x) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(one.read(sum).await.unwrap(), 21, "{removed:?}");
        for store in [&other, &one, &other] {
            store.commit(|connection| connection.execute("INSERT INTO t VALUES (7)", [])).await.unwrap();
        }
        assert_eq!((one.read(sum).await.unwrap(), other.read(sum).await.unwrap()), (42, 42), "{removed:?}");
    }
}
