//! What rdkafka does in one program: produce and consume, topics, offsets, groups as an administrator sees them.

use crate::clients::*;
use futures_executor::block_on;
use job::{Done, Job, an_hour_ago, check, check_equal, expected_records, noise};
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message, OwnedHeaders, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub fn run(job: &Job) -> Option<Done> {
    Some(match job.role.as_str() {
        "consume-from-start" => consume_from_start(job),
        "consume-from-end" => consume_from_end(job),
        "consume-from-timestamp" => consume_from_timestamp(job),
        "idempotent-produce" => idempotent_produce(job),
        "topics" => topics(job),
        "auto-create-topic" => auto_create_topic(job),
        "large-record" => large_record(job),
        "thousand-partitions" => thousand_partitions(job),
        "commit-metadata" => commit_metadata(job),
        "admin-groups" => admin_groups(job),
        "consumer-lag" => consumer_lag(job),
        "delete-records" => delete_records(job),
        role => match role.strip_prefix("produce-") {
            Some(codec) => produce(job, codec),
            None => return None,
        },
    })
}

fn plain_topic(job: &Job, partitions: i32) -> Done {
    create_topic(job, partitions, &BTreeMap::new())
}

fn produce(job: &Job, codec: &str) -> Done {
    plain_topic(job, 3)?;
    let records = expected_records(job);
    let mut sender = Sender::new(job, &[("compression.type", codec), ("linger.ms", "20")])?;
    for expected in &records {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &expected.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut one = record(&job.topic).headers(headers).timestamp(expected.timestamp);
        one.key = expected.key.as_ref().map(String::as_bytes);
        one.payload = expected.value.as_ref().map(String::as_bytes);
        sender.send(one)?;
    }
    let places = sender.places()?;
    let mut keyed = BTreeSet::new();
    let read = read_from_start(job, records.len(), 3, &[])?;
    let back: BTreeMap<_, _> = read.iter().map(|one| ((one.partition(), one.offset()), one)).collect();
    for (expected, place) in records.iter().zip(&places) {
        let one = back.get(place).ok_or("an acknowledged record is not there")?;
        check_equal(one.key(), expected.key.as_ref().map(String::as_bytes), "key")?;
        check_equal(one.payload(), expected.value.as_ref().map(String::as_bytes), "value")?;
        check_equal(one.timestamp(), Timestamp::CreateTime(expected.timestamp), "timestamp")?;
        let headers = expected.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        check_equal(headers_of(*one), headers, "headers")?;
        keyed.extend(expected.key.as_ref().map(|key| (key, place.0)));
    }
    check_equal(keyed.len(), keyed.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), "partitions per key")
}

fn numbers(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_string().into_bytes()).collect()
}

fn consume_from_start(job: &Job) -> Done {
    plain_topic(job, 2)?;
    send_numbered(job, 100, 2, None, &[])?;
    let read = read_from_start(job, 100, 2, &[])?;
    let values: BTreeSet<Vec<u8>> = read.iter().filter_map(|one| one.payload().map(<[u8]>::to_vec)).collect();
    check_equal(values, numbers(100).into_iter().collect(), "values")
}

fn consume_from_end(job: &Job) -> Done {
    plain_topic(job, 1)?;
    send_numbered(job, 50, 1, None, &[])?;
    let consumer = consumer(job, &[("auto.offset.reset", "latest"), ("enable.partition.eof", "true")])?;
    consumer.assign(&partitions_at(job, [0], Offset::Invalid)?)?;
    match consumer.poll(WAIT) {
        Some(Err(KafkaError::PartitionEOF(0))) => {}
        other => check(false, format!("the end of the partition is reached: {other:?}"))?,
    }
    send_numbered(job, 10, 1, None, &[])?;
    let mut offsets = vec![];
    while offsets.len() < 10 {
        match consumer.poll(WAIT) {
            Some(Ok(message)) => offsets.push(message.offset()),
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            other => check(false, format!("{} of 10 records, then {other:?}", offsets.len()))?,
        }
    }
    check_equal(offsets, (50..60).collect(), "offsets")
}

fn consume_from_timestamp(job: &Job) -> Done {
    plain_topic(job, 1)?;
    let start = an_hour_ago();
    send_numbered(job, 50, 1, Some(start), &[("linger.ms", "50")])?;
    let consumer = consumer(job, &[])?;
    for (after, offset) in [
        (-5, Offset::Offset(0)),
        (25_000, Offset::Offset(25)),
        (25_001, Offset::Offset(26)),
        // No record at or after that time.
        (50_000, Offset::End),
    ] {
        let found = consumer.offsets_for_times(partitions_at(job, [0], Offset::Offset(start + after))?, WAIT)?;
        check_equal(found.elements()[0].offset(), offset, format!("offset at {after}"))?;
    }
    consumer.assign(&partitions_at(job, [0], Offset::Offset(25))?)?;
    check_equal(poll_until(&consumer, 1)?[0].payload(), Some(b"25".as_slice()), "first value")
}

fn idempotent_produce(job: &Job) -> Done {
    plain_topic(job, 1)?;
    let settings = [("enable.idempotence", "true"), ("batch.num.messages", "10"), ("linger.ms", "0")];
    send_numbered(job, 1000, 1, None, &settings)?;
    let read = read_from_start(job, 1000, 1, &[])?;
    let values: Vec<Vec<u8>> = read.iter().filter_map(|one| one.payload().map(<[u8]>::to_vec)).collect();
    check_equal(values, numbers(1000), "values")
}

fn topics(job: &Job) -> Done {
    create_topic(job, 3, &BTreeMap::from([("retention.ms".to_owned(), "123456789".to_owned())]))?;
    let admin = admin(job)?;
    check_equal(listed(&admin, &job.topic)?, Some(3), "partitions")?;
    let resource = ResourceSpecifier::Topic(&job.topic);
    let described = block_on(admin.describe_configs([&resource], &AdminOptions::new()))?.remove(0)?;
    let retention = described.get("retention.ms").and_then(|entry| entry.value.clone());
    check_equal(retention, Some("123456789".to_owned()), "retention.ms")?;
    let twice = plain_topic(job, 1).err().map(|error| error.to_string()).unwrap_or_default();
    check(twice.contains("already exists"), format!("created twice: {twice}"))?;
    send_numbered(job, 5, 1, None, &[])?;
    delete_topic(job)?;
    plain_topic(job, 5)?;
    send_numbered(job, 1, 1, None, &[])?;
    read_from_start(job, 1, 5, &[]).map(|_| ())
}

fn auto_create_topic(job: &Job) -> Done {
    send_numbered(job, 3, 1, None, &[])?;
    read_from_start(job, 3, 1, &[]).map(|_| ())
}

fn large_record(job: &Job) -> Done {
    let limit = (12 * 1024 * 1024).to_string();
    create_topic(job, 1, &BTreeMap::from([("max.message.bytes".to_owned(), limit.clone())]))?;
    let value = noise(10 * 1024 * 1024);
    let mut sender = Sender::new(job, &[("message.max.bytes", &limit)])?;
    sender.send(record(&job.topic).payload(value.as_slice()).partition(0))?;
    sender.places()?;
    let read = read_from_start(job, 1, 1, &[("fetch.message.max.bytes", &limit)])?;
    check(read[0].payload() == Some(value.as_slice()), "the value comes back equal")
}

fn thousand_partitions(job: &Job) -> Done {
    plain_topic(job, 1000)?;
    let chosen = [0, 1, 499, 999];
    let mut sender = Sender::new(job, &[])?;
    for partition in chosen {
        sender.send(record(&job.topic).payload(b"x".as_slice()).partition(partition))?;
    }
    check_equal(sender.places()?, chosen.iter().map(|partition| (*partition, 0)).collect(), "places")?;
    let read = read_from_start(job, chosen.len(), 1000, &[])?;
    let filled: BTreeSet<i32> = read.iter().map(Message::partition).collect();
    check_equal(filled, chosen.into_iter().collect(), "partitions with records")?;
    delete_topic(job)
}

fn commit_metadata(job: &Job) -> Done {
    plain_topic(job, 3)?;
    send_numbered(job, 30, 3, None, &[])?;
    let metadata = "où en étions-nous";
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_offset(&job.topic, 0, Offset::Offset(7))?;
    wanted.add_partition_offset(&job.topic, 1, Offset::Offset(3))?;
    wanted.find_partition(&job.topic, 0).ok_or("the first partition")?.set_metadata(metadata);
    consumer(job, &[])?.commit(&wanted, CommitMode::Sync)?;
    let consumer = consumer(job, &[])?;
    let found = consumer.committed_offsets(partitions_at(job, 0..3, Offset::Invalid)?, WAIT)?;
    let commits: Vec<_> = found.elements().iter().map(|one| (one.offset(), one.metadata().to_owned())).collect();
    check_equal(&commits[0], &(Offset::Offset(7), metadata.to_owned()), "commit")?;
    check_equal(&commits[1], &(Offset::Offset(3), String::new()), "commit without metadata")?;
    check_equal(commits[2].0, Offset::Invalid, "no commit")?;
    consumer.assign(&partitions_at(job, [0], Offset::Stored)?)?;
    check_equal(poll_until(&consumer, 1)?[0].offset(), 7, "resumes at the commit")
}

/// The group's state and how many members it has, if it is listed.
fn described(job: &Job) -> Done<Option<(String, usize)>> {
    let groups = admin(job)?.inner().fetch_group_list(None, WAIT)?;
    let group = groups.groups().iter().find(|one| one.name() == job.group);
    Ok(group.map(|one| (one.state().to_owned(), one.members().len())))
}

fn admin_groups(job: &Job) -> Done {
    plain_topic(job, 2)?;
    send_numbered(job, 10, 2, None, &[])?;
    let consumer = consumer(job, &[])?;
    consumer.subscribe(&[&job.topic])?;
    poll_until(&consumer, 10)?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    check_equal(described(job)?, Some(("Stable".to_owned(), 1)), "while it runs")?;
    drop(consumer);
    check_equal(described(job)?, Some(("Empty".to_owned(), 0)), "after its member left")?;
    if let Err((_, code)) = &block_on(admin(job)?.delete_groups(&[&job.group], &AdminOptions::new()))?[0] {
        return Err(code.to_string().into());
    }
    check_equal(described(job)?, None, "after it was deleted")
}

fn consumer_lag(job: &Job) -> Done {
    plain_topic(job, 1)?;
    send_numbered(job, 20, 1, None, &[])?;
    let consumer = consumer(job, &[])?;
    consumer.commit(&partitions_at(job, [0], Offset::Offset(5))?, CommitMode::Sync)?;
    let committed = consumer.committed_offsets(partitions_at(job, [0], Offset::Invalid)?, WAIT)?;
    let (_, end) = consumer.fetch_watermarks(&job.topic, 0, WAIT)?;
    check_equal((committed.elements()[0].offset(), end), (Offset::Offset(5), 20), "commit and end")
}

fn delete_records(job: &Job) -> Done {
    plain_topic(job, 1)?;
    send_numbered(job, 20, 1, None, &[])?;
    let admin = admin(job)?;
    block_on(admin.delete_records(&partitions_at(job, [0], Offset::Offset(10))?, &AdminOptions::new()))?;
    let consumer = consumer(job, &[])?;
    check_equal(consumer.fetch_watermarks(&job.topic, 0, Duration::from_secs(20))?, (10, 20), "watermarks")?;
    let read = read_from_start(job, 10, 1, &[])?;
    check_equal(read.iter().map(Message::offset).collect::<Vec<_>>(), (10..20).collect(), "offsets")
}
