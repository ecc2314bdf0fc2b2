//! rskafka's scenarios and roles.

use chrono::{DateTime, TimeZone, Utc};
use job::{Done, Job, an_hour_ago, check, check_equal, emit, emit_produced, emit_record, expected_records};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

async fn connect(job: &Job) -> Done<Client> {
    Ok(ClientBuilder::new(vec![job.bootstrap.clone()]).build().await?)
}

async fn create_topic(job: &Job, partitions: i32) -> Done {
    let client = connect(job).await?;
    client.controller_client()?.create_topic(&job.topic, partitions, 1, 30_000).await?;
    let started = Instant::now();
    while listed(&client, &job.topic).await? != Some(partitions as usize) {
        check(started.elapsed() < Duration::from_secs(20), "the new topic is visible: not within 20 s")?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn delete_topic(job: &Job) -> Done {
    let client = connect(job).await?;
    client.controller_client()?.delete_topic(&job.topic, 30_000).await?;
    let started = Instant::now();
    while listed(&client, &job.topic).await?.is_some() {
        check(started.elapsed() < Duration::from_secs(20), "the topic is gone: not within 20 s")?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// How many partitions the topic has, if it is listed.
async fn listed(client: &Client, topic: &str) -> Done<Option<usize>> {
    Ok(client.list_topics().await?.into_iter().find(|one| one.name == topic).map(|one| one.partitions.len()))
}

async fn partition(job: &Job, number: i32) -> Done<PartitionClient> {
    Ok(connect(job).await?.partition_client(&job.topic, number, UnknownTopicHandling::Retry).await?)
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(milliseconds).single().expect("a time")
}

fn numbered(number: usize, timestamp: i64) -> Record {
    let value = Some(number.to_string().into_bytes());
    Record { key: None, value, headers: BTreeMap::new(), timestamp: at(timestamp) }
}

async fn send_numbered(job: &Job, count: usize, partitions: usize) -> Done {
    for one in 0..partitions {
        let records = (one..count).step_by(partitions).map(|number| numbered(number, an_hour_ago())).collect();
        partition(job, one as i32).await?.produce(records, Compression::NoCompression).await?;
    }
    Ok(())
}

/// All records of a partition, from an offset to the end of this moment.
async fn read_from(client: &PartitionClient, first: i64) -> Done<Vec<RecordAndOffset>> {
    let end = client.get_offset(OffsetAt::Latest).await?;
    let (mut next, mut records) = (first, vec![]);
    while next < end {
        let (found, _) = client.fetch_records(next, 1..10_000_000, 1000).await?;
        next = found.last().map_or(next, |last| last.offset + 1);
        records.extend(found.into_iter().filter(|one| one.offset >= first));
    }
    Ok(records)
}

async fn read_all(job: &Job, partitions: &[i32]) -> Done<Vec<(i32, RecordAndOffset)>> {
    let mut all = vec![];
    for number in partitions {
        let client = partition(job, *number).await?;
        let first = client.get_offset(OffsetAt::Earliest).await?;
        all.extend(read_from(&client, first).await?.into_iter().map(|record| (*number, record)));
    }
    Ok(all)
}

async fn produce(job: &Job, compression: Compression) -> Done {
    create_topic(job, 3).await?;
    let mut sent = BTreeMap::new();
    for (number, record) in expected_records(job).into_iter().enumerate() {
        let headers: BTreeMap<String, Vec<u8>> =
            record.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
        let record = Record {
            key: record.key.map(String::into_bytes),
            value: record.value.map(String::into_bytes),
            headers,
            timestamp: at(record.timestamp),
        };
        sent.entry(number as i32 % 3).or_insert_with(Vec::new).push(record);
    }
    for (number, records) in &sent {
        let offsets = partition(job, *number).await?.produce(records.clone(), compression).await?;
        check_equal(offsets, (0..records.len() as i64).collect(), "offsets")?;
    }
    for (number, record) in read_all(job, &[0, 1, 2]).await? {
        check_equal(&record.record, &sent[&number][record.offset as usize], "record")?;
    }
    Ok(())
}

async fn consume_from_start(job: &Job) -> Done {
    create_topic(job, 2).await?;
    send_numbered(job, 100, 2).await?;
    check_equal(read_all(job, &[0, 1]).await?.len(), 100, "records read")
}

async fn consume_from_end(job: &Job) -> Done {
    create_topic(job, 1).await?;
    send_numbered(job, 50, 1).await?;
    let client = partition(job, 0).await?;
    let end = client.get_offset(OffsetAt::Latest).await?;
    check_equal(end, 50, "end")?;
    send_numbered(job, 10, 1).await?;
    let offsets: Vec<i64> = read_from(&client, end).await?.iter().map(|one| one.offset).collect();
    check_equal(offsets, (50..60).collect(), "offsets")
}

async fn consume_from_timestamp(job: &Job) -> Done {
    create_topic(job, 1).await?;
    let start = an_hour_ago();
    let client = partition(job, 0).await?;
    let records = (0..50).map(|number| numbered(number, start + number as i64 * 1000)).collect();
    client.produce(records, Compression::NoCompression).await?;
    for (after, offset) in [(-5, 0), (25_000, 25), (25_001, 26), (50_000, -1)] {
        let found = client.get_offset(OffsetAt::Timestamp(at(start + after))).await?;
        check_equal(found, offset, format!("offset at {after}"))?;
    }
    let first = &read_from(&client, 25).await?[0];
    check_equal(first.record.value.as_deref(), Some(b"25".as_slice()), "first value")
}

async fn topics(job: &Job) -> Done {
    create_topic(job, 3).await?;
    let twice = create_topic(job, 1).await;
    let refused = twice.err().map(|error| error.to_string()).unwrap_or_default();
    check(refused.contains("TopicAlreadyExists"), format!("created twice: {refused}"))?;
    send_numbered(job, 5, 1).await?;
    delete_topic(job).await?;
    create_topic(job, 5).await?;
    send_numbered(job, 1, 1).await?;
    check_equal(read_all(job, &[0, 1, 2, 3, 4]).await?.len(), 1, "records read")
}

async fn delete_records(job: &Job) -> Done {
    create_topic(job, 1).await?;
    send_numbered(job, 20, 1).await?;
    let client = partition(job, 0).await?;
    client.delete_records(10, 20_000).await?;
    check_equal(client.get_offset(OffsetAt::Earliest).await?, 10, "first offset")?;
    check_equal(read_all(job, &[0]).await?[0].1.offset, 10, "first offset read")
}

async fn waiting_fetch(job: &Job) -> Done {
    create_topic(job, 1).await?;
    let client = partition(job, 0).await?;
    let other = job.clone();
    let later = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        send_numbered(&other, 1, 1).await.map(|()| Instant::now())
    });
    let (records, _) = client.fetch_records(0, 1..1_000_000, 30_000).await?;
    let arrived = Instant::now();
    check_equal(records.len(), 1, "records")?;
    let late = arrived.saturating_duration_since(later.await??);
    check(late < Duration::from_secs(3), format!("the record arrived {late:?} after its acknowledgement"))
}

async fn producer(job: &Job) -> Done {
    job.listen();
    let mut clients = vec![];
    for number in 0..job.partitions() {
        clients.push(partition(job, number).await?);
    }
    let (started, mut sent) = (Instant::now(), 0);
    while job.pace(started, sent, || ()) {
        let number = sent % clients.len();
        let mut record = numbered(sent, an_hour_ago());
        record.value = Some(job.value(sent).into_bytes());
        let answer = clients[number].produce(vec![record], Compression::NoCompression).await;
        emit_produced(answer.map(|at| (number as i32, at[0])).map_err(|error| error.to_string()), &job.value(sent));
        sent += 1;
    }
    emit("done", json!({"sent": sent}));
    Ok(())
}

async fn read(job: &Job) -> Done {
    for (number, RecordAndOffset { record, offset }) in read_all(job, &job.wanted_partitions()).await? {
        emit_record(&job.topic, number, offset, &record.value.unwrap_or_default(), &BTreeMap::new());
    }
    Ok(())
}

async fn run(job: &Job) -> Done {
    match job.role.as_str() {
        "produce-none" => produce(job, Compression::NoCompression).await,
        "produce-gzip" => produce(job, Compression::Gzip).await,
        "produce-snappy" => produce(job, Compression::Snappy).await,
        "produce-lz4" => produce(job, Compression::Lz4).await,
        "produce-zstd" => produce(job, Compression::Zstd).await,
        "consume-from-start" => consume_from_start(job).await,
        "consume-from-end" => consume_from_end(job).await,
        "consume-from-timestamp" => consume_from_timestamp(job).await,
        "topics" => topics(job).await,
        "delete-records" => delete_records(job).await,
        "waiting-fetch" => waiting_fetch(job).await,
        "create" => create_topic(job, job.partitions()).await,
        "delete" => delete_topic(job).await,
        "producer" => producer(job).await,
        "read" => read(job).await,
        other => check(false, format!("the program has no scenario {other}")),
    }
}

fn main() {
    job::main(|job| tokio::runtime::Runtime::new()?.block_on(run(job)));
}
