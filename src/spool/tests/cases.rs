//! Single failures, takeovers and readers, one by one.

use super::*;

/// The machine dies at each call in turn.
#[test]
fn power_may_fail_at_any_call() {
    let script = |log: &mut Log| {
        for round in 0..8 {
            log.append(&[100, 11_000, 400 * round]);
        }
        log.append(&[300_000]);
        log.append(&[100, 200]);
        log.writer.end();
    };
    let mut whole = Log::new(Model::default());
    script(&mut whole);
    assert_eq!(whole.acknowledged.len(), 27);
    assert_eq!(read(&whole.files, Bound::Ended).bodies.len(), 27);
    for call in 0..whole.files.calls() {
        let mut random = Random(call as u64 + 1);
        let mut log = Log::new(Model::default());
        log.files.die_at(call);
        script(&mut log);
        log.lose_power(&mut random);
        log.assert_promise(&read(&log.files, Bound::Ended), 0);
        log.append(&[10]);
        assert_eq!(log.acknowledged.last(), Some(&(log.appended.len() - 1)), "another worker can continue");
        log.assert_promise(&read(&log.files, Bound::Ended), 0);
    }
}

/// A worker stalls before it appends, and resumes once another has begun.
#[test]
fn a_replaced_worker_acknowledges_nothing_before_the_readers_position() {
    let directory = tempfile::tempdir().unwrap();
    let files = Disk::new(directory.path());
    let entry = |body| Entry { signal: Signal::Logs, time: 1, records: 1, refused: 0, ledger: b"", body };
    let mut workers = [1, 2].map(|worker| Writer::new(files.clone(), SESSION, worker, Vec::new()));
    let mut append = |worker: usize, body| workers[worker - 1].append(&[entry(body)]).remove(0);
    append(1, b"one").unwrap();
    append(1, b"two").unwrap();
    let end = append(2, b"three").unwrap();
    let mut reader = Reader::open(&files, SESSION, Position::START, Bound::Durable(end)).unwrap();
    assert_eq!(std::iter::from_fn(|| reader.next().unwrap()).count(), 3);
    let refused = append(1, b"four").unwrap_err().to_string();
    assert_eq!(refused, "another worker has taken over");
    assert!(append(1, b"five").is_err(), "the replaced worker opens no other segment");
    append(2, b"six").unwrap();
    assert!(workers[0].is_over() && !workers[1].is_over());
}

/// The next worker fails to make its first segment, so that the earlier one may go on, beside its prepared segment.
#[test]
fn a_reader_waits_in_an_earlier_workers_segment_until_the_takeover() {
    let mut log = Log::new(Model::default());
    log.append(&[40_000]);
    log.append(&[0]);
    log.replace();
    log.files.fail_in(0, ErrorKind::Other);
    log.append(&[0]);
    log.follow();
    log.go_on(&[0]);
    assert_eq!(log.acknowledged, [0, 1, 3]);
    log.follow();
}

#[test]
fn unsynced_data_is_not_read() {
    let mut log = Log::new(Model::default());
    log.append(&[10, 10]);
    let durable = log.durable();
    log.append(&[10]);
    assert_eq!(read(&log.files, durable).bodies.len(), 2);
    assert_eq!(read(&log.files, log.durable()).bodies.len(), 3);
    assert_eq!(read(&log.files, Bound::Durable(Position::of_segment(1, 0))), Read::default());
    assert_eq!(read(&log.files, Bound::Live).bodies.len(), 3);
}

#[test]
fn a_reader_resumes_and_skips_removed_segments() {
    let mut log = Log::new(Model::default());
    for _ in 0..30 {
        log.append(&[11_000]);
    }
    let all = segments(&log.files, SESSION).unwrap();
    assert!(all.len() > 1, "{all:?}");
    let mut reader = Reader::open(&log.files, SESSION, Position::START, Bound::Live).unwrap();
    reader.next().unwrap();
    assert_eq!(reader.row(), Some(&b"{\"row\": true}"[..]));
    let rest = |from| {
        let mut reader = Reader::open(&log.files, SESSION, from, Bound::Live).unwrap();
        std::iter::from_fn(|| reader.next().unwrap()).count()
    };
    assert_eq!(rest(reader.position()), 29);
    log.files.remove(SESSION, &name(all[0].0, all[0].1)).unwrap();
    let left = rest(reader.position());
    assert!((1..29).contains(&left), "{left}");
}

#[tokio::test]
async fn many_frames_are_appended_at_once_and_the_last_segment_is_truncated() {
    let directory = tempfile::tempdir().unwrap();
    let files = Disk::new(&directory.path().join("spool"));
    let writer = Writer::new(files.clone(), SESSION, 1, Vec::new());
    let (spool, thread) = Spool::start(writer, || {}).unwrap();
    assert_eq!(segments(&files, SESSION).unwrap(), [], "no file is created before the first frame");
    let appends = (0..300).map(|number| {
        let spool = spool.clone();
        let body = body(number, 1000).into();
        let append = Append { signal: Signal::Logs, time: 1, records: 1, refused: 0, ledger: Vec::new(), body };
        tokio::spawn(async move { spool.append(append).await.unwrap() })
    });
    let appends: Vec<_> = appends.collect();
    let mut ends = BTreeSet::new();
    for append in appends {
        ends.insert(append.await.unwrap());
    }
    assert_eq!(ends.len(), 300);
    assert_eq!(ends.last(), Some(&spool.durable().position()));
    drop(spool);
    tokio::time::timeout(Duration::from_secs(10), tokio::task::spawn_blocking(|| thread.join().unwrap()))
        .await
        .unwrap()
        .unwrap();
    let all = segments(&files, SESSION).unwrap();
    let last = all.last().unwrap();
    let length = files.open(SESSION, &name(last.0, last.1)).unwrap().length().unwrap();
    assert_eq!(length, ends.last().unwrap().offset + frame_length(0, 0), "the closing mark follows the last frame");
    let mut reader = Reader::open(&files, SESSION, Position::START, Bound::Ended).unwrap();
    assert_eq!(std::iter::from_fn(|| reader.next().unwrap()).count(), 300);
}
