//! What the harness runs several of: who changes topics and offsets, a steady producer, members, a reader of all.

use crate::clients::*;
use futures_executor::block_on;
use job::{Done, Job, emit, emit_produced, origin};
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Partitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub fn run(job: &Job) -> Option<Done> {
    Some(match job.role.as_str() {
        "create" => create_topic(job, job.partitions(), &job.configs()),
        "delete" => delete_topic(job),
        "grow" => grow(job),
        "reset" => reset(job),
        "producer" => producer(job),
        "member" => member(job),
        "crowd" => crowd(job),
        "read" => read(job),
        _ => return None,
    })
}

fn grow(job: &Job) -> Done {
    let partitions = NewPartitions::new(&job.topic, job.partitions() as usize);
    match &block_on(admin(job)?.create_partitions(&[partitions], &AdminOptions::new()))?[0] {
        Ok(_) => Ok(()),
        Err((_, code)) => Err(code.to_string().into()),
    }
}

fn reset(job: &Job) -> Done {
    let mut wanted = TopicPartitionList::new();
    for (partition, offset) in job.offsets() {
        wanted.add_partition_offset(&job.topic, partition, Offset::Offset(offset))?;
    }
    Ok(consumer(job, &[])?.commit(&wanted, CommitMode::Sync)?)
}

/// How often metadata is asked for; topics that are gone are then noticed as soon.
fn age_settings(job: &Job) -> Vec<(&'static str, String)> {
    let age = job.number("metadata_max_age_ms", 0.0) as i64;
    let names = ["topic.metadata.refresh.interval.ms", "topic.metadata.propagation.max.ms"];
    names.into_iter().filter(|_| age > 0).map(|name| (name, age.to_string())).collect()
}

/// Counts from the last partition, by the number that is the key.
struct Reversed;

impl Partitioner for Reversed {
    fn partition(&self, _: &str, key: Option<&[u8]>, count: i32, _: impl Fn(i32) -> bool) -> i32 {
        let number: i32 = String::from_utf8_lossy(key.unwrap_or_default()).parse().unwrap_or(0);
        count - 1 - number % count
    }
}

/// Says how each record's sending ended.
struct Reports {
    partitioner: Option<Reversed>,
}

impl ClientContext for Reports {}

impl ProducerContext<Reversed> for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = result.as_ref().unwrap_or_else(|(_, message)| message);
        let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let place = result.as_ref().map(|message| (message.partition(), message.offset()));
        emit_produced(place.map_err(|(error, _)| error.to_string()), &value);
    }

    fn get_custom_partitioner(&self) -> Option<&Reversed> {
        self.partitioner.as_ref()
    }
}

fn producer(job: &Job) -> Done {
    job.listen();
    let custom = job.text("partitioner").is_some();
    let mut config = settings(job, &[("enable.idempotence", "true"), ("reconnect.backoff.max.ms", "1000"), ("linger.ms", "5")]);
    for (name, value) in age_settings(job) {
        config.set(name, value);
    }
    let reports = Reports { partitioner: custom.then_some(Reversed) };
    let producer = ThreadedProducer::<Reports, Reversed>::from_config_and_context(&config, reports)?;
    let (started, mut sent) = (Instant::now(), 0);
    while job.pace(started, sent, || ()) {
        let (key, value) = (sent.to_string(), job.value(sent));
        let mut record = BaseRecord::<[u8], [u8]>::to(&job.topic).key(key.as_bytes()).payload(value.as_bytes());
        if !custom {
            record.partition = Some(sent as i32 % job.partitions());
        }
        if let Err((error, _)) = producer.send(record) {
            emit("refused", json!({"error": error.to_string()})); // a partition that it does not know yet
        }
        sent += 1;
    }
    producer.flush(Duration::from_secs(50))?;
    emit("done", json!({"sent": sent}));
    Ok(())
}

/// Says what a member owns after each rebalance, under its number when there are several.
struct Owned {
    number: Option<usize>,
    partitions: Mutex<BTreeSet<i32>>,
}

impl ClientContext for Owned {}

impl ConsumerContext for Owned {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut owned = self.partitions.lock().expect("nobody panics");
        match rebalance {
            Rebalance::Assign(list) => owned.extend(list.elements().iter().map(|one| one.partition())),
            Rebalance::Revoke(list) => list.elements().iter().for_each(|one| owned.retain(|mine| *mine != one.partition())),
            Rebalance::Error(error) => eprintln!("rebalance: {error}"),
        }
        let mut fields = json!({"partitions": *owned});
        if let Some(number) = self.number {
            fields["member"] = number.into();
        }
        emit("assignment", fields);
    }
}

/// One consumer of a group.
struct Member<'a> {
    job: &'a Job,
    consumer: BaseConsumer<Owned>,
    paused: bool,
}

impl<'a> Member<'a> {
    fn new(job: &'a Job, number: Option<usize>) -> Done<Member<'a>> {
        let mut config = consumer_settings(job, &[("reconnect.backoff.max.ms", "1000")]);
        config.set("session.timeout.ms", (job.number("session_timeout_ms", 6000.0) as i64).to_string());
        config.set("heartbeat.interval.ms", if number.is_none() { "500" } else { "3000" });
        let cooperative = job.text("assignor").is_some_and(|name| name == "cooperative");
        config.set("partition.assignment.strategy", if cooperative { "cooperative-sticky" } else { "range" });
        if let Some(instance) = job.text("instance_id") {
            config.set("group.instance.id", instance);
        }
        let wait = job.number("max_wait_ms", 0.0) as i64;
        if wait > 0 {
            config.set("fetch.wait.max.ms", wait.to_string()).set("socket.timeout.ms", (2 * wait).to_string());
        }
        for (name, value) in age_settings(job) {
            config.set(name, value);
        }
        let owned = Owned { number, partitions: Mutex::default() };
        let consumer: BaseConsumer<Owned> = config.create_with_context(owned)?;
        consumer.subscribe(&[&job.text("pattern").unwrap_or(job.topic.clone())])?;
        Ok(Member { job, consumer, paused: false })
    }

    /// Takes what is there, up to a hundred records, and commits it.
    fn turn(&mut self, wait: Duration) -> Done {
        self.follow_pauses()?;
        let mut next = BTreeMap::new();
        let mut patience = wait;
        while let Some(polled) = self.consumer.poll(patience) {
            match polled {
                Ok(message) => {
                    self.bury(&message)?;
                    emit_message(&message);
                    next.insert((message.topic().to_owned(), message.partition()), message.offset() + 1);
                }
                Err(error) => emit("poll-error", json!({"error": error.to_string()})),
            }
            patience = Duration::ZERO;
            if next.len() > 100 {
                break;
            }
        }
        self.commit(&next)
    }

    fn commit(&self, next: &BTreeMap<(String, i32), i64>) -> Done {
        let mut wanted = TopicPartitionList::new();
        for ((topic, partition), offset) in next {
            wanted.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        if next.is_empty() {
            return Ok(());
        }
        match self.consumer.commit(&wanted, CommitMode::Sync) {
            Ok(()) => {
                let offsets: BTreeMap<String, i64> = next.iter().map(|((_, one), offset)| (one.to_string(), *offset)).collect();
                emit("committed", json!({"offsets": offsets}));
            }
            Err(error) => emit("not-committed", json!({"error": error.to_string()})),
        }
        Ok(())
    }

    /// Sends a record that the program cannot take to the topic for such, if there is one.
    fn bury(&self, message: &impl Message) -> Done {
        let value = message.payload().unwrap_or_default();
        let Some(topic) = self.job.text("dead_letter").filter(|_| value.ends_with(b"7")) else {
            return Ok(());
        };
        let mut headers = OwnedHeaders::new();
        for (key, value) in origin(message.topic(), message.partition(), message.offset()) {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        let mut sender = Sender::new(self.job, &[])?;
        sender.send(record(&topic).payload(value).headers(headers))?;
        sender.places().map(|_| ())
    }

    fn follow_pauses(&mut self) -> Done {
        if self.job.paused() != self.paused {
            self.paused = self.job.paused();
            let all = self.consumer.assignment()?;
            if self.paused { self.consumer.pause(&all)? } else { self.consumer.resume(&all)? }
            emit(if self.paused { "paused" } else { "resumed" }, json!({}));
        }
        Ok(())
    }
}

fn member(job: &Job) -> Done {
    job.listen();
    let mut member = Member::new(job, None)?;
    while job.running() {
        member.turn(Duration::from_millis(100))?;
    }
    Ok(())
}

fn crowd(job: &Job) -> Done {
    job.listen();
    let mut members = vec![];
    for number in 0..job.number("members", 1.0) as usize {
        members.push(Member::new(job, Some(number))?);
    }
    while job.running() {
        for member in &mut members {
            member.turn(Duration::from_millis(5))?;
        }
    }
    // Each waits for its farewell's answer; together they do so at once.
    std::thread::scope(|all| members.into_iter().for_each(|member| drop(all.spawn(|| drop(member)))));
    Ok(())
}

fn read(job: &Job) -> Done {
    let (consumer, mut count) = (consumer(job, &[])?, 0);
    for partition in job.wanted_partitions() {
        let (low, high) = consumer.fetch_watermarks(&job.topic, partition, WAIT)?;
        count += high - low;
    }
    consumer.assign(&partitions_at(job, job.wanted_partitions(), Offset::Beginning)?)?;
    for message in poll_until(&consumer, count as usize)? {
        let value = message.payload().unwrap_or_default();
        job::emit_record(message.topic(), message.partition(), message.offset(), value, &headers_of(&message));
    }
    Ok(())
}
