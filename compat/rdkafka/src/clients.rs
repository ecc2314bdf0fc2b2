//! How a scenario gets clients of rdkafka, topics and records.

use futures_executor::block_on;
use job::{Done, Job, check, check_equal, eventually};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, DeliveryResult, NoCustomPartitioner, Partitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const WAIT: Duration = Duration::from_secs(20);

pub fn settings(job: &Job, more: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &job.bootstrap);
    for (name, value) in more {
        config.set(*name, *value);
    }
    config
}

pub fn admin(job: &Job) -> Done<AdminClient<DefaultClientContext>> {
    Ok(settings(job, &[]).create()?)
}

pub fn consumer_settings(job: &Job, more: &[(&str, &str)]) -> ClientConfig {
    let mut config = settings(job, &[("auto.offset.reset", "earliest"), ("enable.auto.commit", "false")]);
    config.set("group.id", &job.group);
    for (name, value) in more {
        config.set(*name, *value);
    }
    config
}

pub fn consumer(job: &Job, more: &[(&str, &str)]) -> Done<BaseConsumer> {
    Ok(consumer_settings(job, more).create()?)
}

pub fn create_topic(job: &Job, partitions: i32, configs: &BTreeMap<String, String>) -> Done {
    let admin = admin(job)?;
    let mut topic = NewTopic::new(&job.topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in configs {
        topic = topic.set(name, value);
    }
    let answers = block_on(admin.create_topics(&[topic], &AdminOptions::new()))?;
    if let Err((_, code)) = &answers[0] {
        return Err(code.to_string().into());
    }
    let partitions = Some(partitions as usize);
    eventually("the new topic is visible", || listed(&admin, &job.topic).is_ok_and(|count| count == partitions))
}

pub fn delete_topic(job: &Job) -> Done {
    let admin = admin(job)?;
    if let Err((_, code)) = &block_on(admin.delete_topics(&[&job.topic], &AdminOptions::new()))?[0] {
        return Err(code.to_string().into());
    }
    eventually("the topic is gone", || listed(&admin, &job.topic).is_ok_and(|count| count.is_none()))
}

/// How many partitions the topic has that are led, if it is listed.
pub fn listed(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Done<Option<usize>> {
    let found = admin.inner().fetch_metadata(None, WAIT)?;
    let topic = found.topics().iter().find(|one| one.name() == topic && one.error().is_none());
    Ok(topic.map(|one| one.partitions().iter().filter(|partition| partition.leader() >= 0).count()))
}

/// Keeps what became of each record that was sent, by the mark it was sent with.
#[derive(Clone, Default)]
pub struct Deliveries(pub Arc<Mutex<BTreeMap<usize, Result<(i32, i64), String>>>>);

impl ClientContext for Deliveries {}

impl<P: Partitioner> ProducerContext<P> for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: Box<usize>) {
        let place = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().expect("nobody panics").insert(*mark, place);
    }
}

/// Sends records and waits for all of them; their places.
pub struct Sender {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
    sent: usize,
}

impl Sender {
    pub fn new(job: &Job, more: &[(&str, &str)]) -> Done<Sender> {
        let deliveries = Deliveries::default();
        let producer = <ThreadedProducer<Deliveries, NoCustomPartitioner> as FromClientConfigAndContext<_>>::from_config_and_context(
            &settings(job, more),
            deliveries.clone(),
        )?;
        Ok(Sender { producer, deliveries, sent: 0 })
    }

    pub fn send(&mut self, mut record: BaseRecord<'_, [u8], [u8], Box<usize>>) -> Done {
        record.delivery_opaque = Box::new(self.sent);
        self.producer.send(record).map_err(|(error, _)| error)?;
        self.sent += 1;
        Ok(())
    }

    pub fn places(self) -> Done<Vec<(i32, i64)>> {
        self.producer.flush(Duration::from_secs(60))?;
        let deliveries = self.deliveries.0.lock().expect("nobody panics");
        check_equal(deliveries.len(), self.sent, "deliveries")?;
        Ok(deliveries.values().cloned().collect::<Result<_, _>>()?)
    }
}

pub fn record<'a>(topic: &'a str) -> BaseRecord<'a, [u8], [u8], Box<usize>> {
    BaseRecord::with_opaque_to(topic, Box::new(0))
}

/// Sends the numbers below `count`, a second apart from `start` on if that is given.
pub fn send_numbered(job: &Job, count: usize, partitions: usize, start: Option<i64>, more: &[(&str, &str)]) -> Done {
    let mut sender = Sender::new(job, more)?;
    for number in 0..count {
        let value = number.to_string();
        let mut one = record(&job.topic).payload(value.as_bytes()).partition((number % partitions) as i32);
        one.timestamp = start.map(|start| start + number as i64 * 1000);
        sender.send(one)?;
    }
    sender.places().map(|_| ())
}

pub fn partitions_at(job: &Job, partitions: impl IntoIterator<Item = i32>, offset: Offset) -> Done<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(&job.topic, partition, offset)?;
    }
    Ok(list)
}

pub fn poll_until<C: rdkafka::consumer::ConsumerContext>(consumer: &BaseConsumer<C>, count: usize) -> Done<Vec<OwnedMessage>> {
    let (started, mut messages) = (Instant::now(), vec![]);
    while messages.len() < count {
        check(started.elapsed() < Duration::from_secs(30), format!("{} of {count} records within 30 s", messages.len()))?;
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            messages.push(message?.detach());
        }
    }
    Ok(messages)
}

/// The topic's records, of which there are `count` and no more.
pub fn read_from_start(job: &Job, count: usize, partitions: i32, more: &[(&str, &str)]) -> Done<Vec<OwnedMessage>> {
    let consumer = consumer(job, more)?;
    consumer.assign(&partitions_at(job, 0..partitions, Offset::Beginning)?)?;
    let messages = poll_until(&consumer, count)?;
    check(consumer.poll(Duration::from_millis(300)).is_none(), "there are further records")?;
    Ok(messages)
}

pub fn headers_of(message: &impl Message) -> BTreeMap<String, String> {
    let headers = message.headers();
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    headers.into_iter().flat_map(|all| all.iter()).map(|one| (one.key.to_owned(), text(one.value))).collect()
}

/// The event of a record that was read.
pub fn emit_message(message: &BorrowedMessage<'_>) {
    let value = message.payload().unwrap_or_default();
    job::emit_record(message.topic(), message.partition(), message.offset(), value, &headers_of(message));
}
