// kafkajs' scenarios and roles.
"use strict";

const crypto = require("node:crypto");
const { Kafka, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Partitioners, AssignerProtocol, logLevel } = require("kafkajs");

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
const Lz4 = require("kafkajs-lz4");
CompressionCodecs[CompressionTypes.LZ4] = new Lz4().codec;

const support = require("../support/compat_program.cjs");

const { START, TWELVE_MEGABYTES, check, checkEqual, emit, eventually, options, said, sleep, stopped } = support;
const { topic, group } = options;
const kafka = new Kafka({
  clientId: "kafkajs",
  brokers: [support.bootstrap],
  logLevel: logLevel.WARN,
  logCreator: () => (entry) => console.error(JSON.stringify(entry)),
  retry: { initialRetryTime: 200, maxRetryTime: 1000, retries: 60 },
});

async function withAdmin(action) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await action(admin);
  } finally {
    await admin.disconnect();
  }
}

function createTopic(partitions, configs) {
  const configEntries = Object.entries(configs || {}).map(([name, value]) => ({ name, value }));
  return withAdmin(async (admin) => {
    const topics = [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }];
    // Its own wait gives up when the broker does not know the new topic yet.
    check(await admin.createTopics({ topics, waitForLeaders: false }), "the topic is new");
    await eventually("the new topic is visible", async () => {
      const found = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => ({ topics: [] }));
      const list = found.topics.flatMap((one) => one.partitions);
      return list.length === partitions && list.every((partition) => partition.leader >= 0);
    });
    // Its producer sends everything again if one partition's leader does not know that it leads.
    await eventually("the partitions are led", () => admin.fetchTopicOffsets(topic).then(() => true, () => false));
  });
}

async function withProducer(settings, action) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...settings });
  await producer.connect();
  try {
    return await action(producer);
  } finally {
    await producer.disconnect();
  }
}

function sendNumbered(count, partitions, settings = {}) {
  return withProducer(settings, (producer) =>
    producer.send({
      topic,
      messages: Array.from({ length: count }, (_, number) => ({ value: `${number}`, partition: number % partitions })),
    }),
  );
}

// A consumer that hands each record to `seen`; resolves `done` when that answers true.
async function consume(settings, seen, { fromBeginning = true, afterJoin = async () => {} } = {}) {
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100, ...settings });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  let timer;
  const done = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error("not all records within 40 s")), 40000);
    consumer
      .run({
        autoCommit: settings.autoCommit || false,
        eachMessage: async ({ partition, message }) => {
          if (seen({ partition, ...message, offset: Number(message.offset) })) resolve();
        },
      })
      .catch(reject);
  });
  await joined;
  await afterJoin(consumer);
  return {
    consumer,
    done: done.finally(() => clearTimeout(timer)),
  };
}

// The topic's records, of which there are `count` and no more. Without groups this client cannot read.
async function readFromStart(count, settings = {}) {
  // By place: now and then it delivers a record twice.
  const records = new Map();
  const groupId = `${group}-${crypto.randomUUID()}`;
  const { consumer, done } = await consume({ groupId, ...settings }, (record) => {
    records.set(`${record.partition}@${record.offset}`, record);
    return records.size >= count;
  });
  await done;
  await sleep(300);
  await consumer.disconnect();
  checkEqual(records.size, count, "records read");
  return [...records.values()];
}

function expectedRecords() {
  const filling = "abcdefgh".repeat(Math.floor(options.value_bytes / 8));
  const records = Array.from({ length: options.records }, (_, number) => ({
    key: `key-${number % 10}`,
    value: `value-${number}-${filling}`,
    headers: number % 3 ? { number: [`${number}`, "again"], empty: "" } : {},
    timestamp: `${START + number}`,
  }));
  records[1].key = null;
  records[2].value = null;
  return records;
}

function text(value) {
  if (value === null || value === undefined) return null;
  return Array.isArray(value) ? value.map(String) : String(value);
}

async function produce(compression) {
  await createTopic(3);
  const sent = expectedRecords();
  await withProducer({}, (producer) => producer.send({ topic, compression, messages: sent }));
  const partitions = new Map();
  const back = new Map();
  for (const record of await readFromStart(sent.length)) {
    back.set(record.timestamp, record);
    if (record.key !== null) {
      const key = String(record.key);
      check(!partitions.has(key) || partitions.get(key) === record.partition, `${key} is in two partitions`);
      partitions.set(key, record.partition);
    }
  }
  for (const record of sent) {
    const found = back.get(record.timestamp);
    check(found, `no record with timestamp ${record.timestamp}`);
    checkEqual([text(found.key), text(found.value)], [record.key, record.value], "key and value");
    const headers = Object.fromEntries(Object.entries(found.headers).map(([name, value]) => [name, text(value)]));
    checkEqual(headers, record.headers, "headers");
  }
}

const scenarios = {
  "produce-none": () => produce(CompressionTypes.None),
  "produce-gzip": () => produce(CompressionTypes.GZIP),
  "produce-snappy": () => produce(CompressionTypes.Snappy),
  "produce-lz4": () => produce(CompressionTypes.LZ4),

  async "consume-from-start"() {
    await createTopic(2);
    await sendNumbered(100, 2);
    const values = new Set((await readFromStart(100)).map((record) => String(record.value)));
    checkEqual(values.size, 100, "different values");
  },

  async "consume-from-end"() {
    await createTopic(1);
    await sendNumbered(50, 1);
    const offsets = [];
    const { consumer, done } = await consume({}, (record) => offsets.push(record.offset) >= 10, {
      fromBeginning: false,
      // It looks the end up at its first fetch, shortly after it joined.
      afterJoin: async () => {
        await sleep(1500);
        await sendNumbered(10, 1);
      },
    });
    await done;
    await consumer.disconnect();
    checkEqual(offsets, [50, 51, 52, 53, 54, 55, 56, 57, 58, 59], "offsets");
  },

  async "consume-from-timestamp"() {
    await createTopic(1);
    const messages = Array.from({ length: 50 }, (_, number) => ({ value: `${number}`, timestamp: `${START + number * 1000}` }));
    await withProducer({}, (producer) => producer.send({ topic, messages }));
    await withAdmin(async (admin) => {
      for (const [after, offset] of [[-5, "0"], [25000, "25"], [25001, "26"], [50000, "50"]]) {
        const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, START + after);
        checkEqual(found.offset, offset, `offset at ${after}`);
      }
    });
    const values = [];
    const { consumer, done } = await consume({}, (record) => values.push(record) && record.offset === 49, {
      afterJoin: async (one) => one.seek({ topic, partition: 0, offset: "25" }),
    });
    await done;
    await consumer.disconnect();
    check(values.some((record) => record.offset === 25), "the record at the offset is read");
  },

  async "idempotent-produce"() {
    await createTopic(1);
    await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
      for (let first = 0; first < 1000; first += 10) {
        const messages = Array.from({ length: 10 }, (_, number) => ({ value: `${first + number}` }));
        await producer.send({ topic, messages });
      }
    });
    const values = (await readFromStart(1000)).map((record) => Number(record.value));
    check(values.every((value, index) => value === index), "values in order");
  },

  async topics() {
    await createTopic(3, { "retention.ms": "123456789" });
    await withAdmin(async (admin) => {
      check((await admin.listTopics()).includes(topic), "the topic is listed");
      const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ["retention.ms"] }];
      const described = await admin.describeConfigs({ resources, includeSynonyms: false });
      checkEqual(described.resources[0].configEntries[0].configValue, "123456789", "retention.ms");
      const twice = await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] });
      checkEqual(twice, false, "created twice");
      await sendNumbered(5, 1);
      await admin.deleteTopics({ topics: [topic] });
      await eventually("the topic is gone", async () => !(await admin.listTopics()).includes(topic));
    });
    await createTopic(5);
    await sendNumbered(1, 1);
    await readFromStart(1);
  },

  async "auto-create-topic"() {
    await sendNumbered(3, 1, { allowAutoTopicCreation: true });
    await readFromStart(3);
  },

  async "large-record"() {
    await createTopic(1, { "max.message.bytes": `${TWELVE_MEGABYTES}` });
    const value = crypto.randomBytes(10 * 1024 * 1024);
    await withProducer({}, (producer) => producer.send({ topic, messages: [{ value }] }));
    const [record] = await readFromStart(1, { maxBytesPerPartition: TWELVE_MEGABYTES });
    check(value.equals(record.value), "the value comes back equal");
  },

  async "thousand-partitions"() {
    await createTopic(1000);
    const chosen = [0, 1, 499, 999];
    await withProducer({}, (producer) =>
      producer.send({ topic, messages: chosen.map((partition) => ({ value: "x", partition })) }),
    );
    // It sends again to all of them when one of the new partitions is not ready: count partitions, not records.
    const found = new Set();
    const { consumer, done } = await consume({}, ({ partition }) => found.add(partition).size === chosen.length);
    await done;
    await consumer.disconnect();
    checkEqual([...found].sort((left, right) => left - right), chosen, "partitions with records");
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic], timeout: 25000 }));
  },

  async "commit-metadata"() {
    await createTopic(3);
    await sendNumbered(30, 3);
    const consumer = kafka.consumer({ groupId: group });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic] });
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
    await consumer.run({ autoCommit: false, eachMessage: async () => {} });
    await joined;
    await consumer.commitOffsets([
      { topic, partition: 0, offset: "7", metadata: "où en étions-nous" },
      { topic, partition: 1, offset: "3" },
    ]);
    await consumer.disconnect();
    await withAdmin(async (admin) => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      const back = partitions.sort((left, right) => left.partition - right.partition);
      checkEqual([back[0].offset, back[0].metadata], ["7", "où en étions-nous"], "commit");
      checkEqual(back[1].offset, "3", "commit without metadata");
      checkEqual(back[2].offset, "-1", "no commit");
    });
    const lowest = [Infinity, Infinity, Infinity];
    let count = 0;
    const resumed = await consume({}, ({ partition, offset }) => {
      lowest[partition] = Math.min(lowest[partition], offset);
      return ++count === 3 + 7 + 10;
    });
    await resumed.done;
    await resumed.consumer.disconnect();
    checkEqual(lowest, [7, 3, 0], "resumes at the commits");
  },

  async "admin-groups"() {
    await createTopic(2);
    await sendNumbered(10, 2);
    await withAdmin(async (admin) => {
      const listed = async () => (await admin.listGroups()).groups.some((one) => one.groupId === group);
      const described = async () => (await admin.describeGroups([group])).groups[0];
      let count = 0;
      const { consumer, done } = await consume({}, () => ++count === 10);
      await done;
      check(await listed(), "the group is listed");
      const running = await described();
      checkEqual([running.state, running.members.length], ["Stable", 1], "while it runs");
      const assignment = AssignerProtocol.MemberAssignment.decode(running.members[0].memberAssignment).assignment;
      checkEqual(assignment[topic].sort(), [0, 1], "assignment");
      await consumer.disconnect();
      const empty = await described();
      checkEqual([empty.state, empty.members.length], ["Empty", 0], "after its member left");
      await admin.deleteGroups([group]);
      check(!(await listed()), "the group is gone");
    });
  },

  async "consumer-lag"() {
    await createTopic(1);
    await sendNumbered(20, 1);
    await withAdmin(async (admin) => {
      await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: "5" }] });
      const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      const [end] = await admin.fetchTopicOffsets(topic);
      checkEqual(Number(end.high) - Number(partitions[0].offset), 15, "lag");
    });
  },

  async "delete-records"() {
    await createTopic(1);
    await sendNumbered(20, 1);
    await withAdmin(async (admin) => {
      await admin.fetchTopicOffsets(topic); // without it: "Topic metadata not loaded"
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "10" }] });
      const [offsets] = await admin.fetchTopicOffsets(topic);
      checkEqual([offsets.low, offsets.high], ["10", "20"], "offsets");
    });
    checkEqual((await readFromStart(10))[0].offset, 10, "first offset read");
  },

  // Roles

  create: () => createTopic(options.partitions, options.configs),

  delete: () =>
    withAdmin(async (admin) => {
      await admin.deleteTopics({ topics: [topic] });
      await eventually("the topic is gone", async () => !(await admin.listTopics()).includes(topic));
    }),

  grow: () => withAdmin((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: options.partitions }] })),

  reset: () =>
    withAdmin((admin) => {
      const partitions = Object.entries(options.offsets).map(([partition, offset]) => ({
        partition: Number(partition),
        offset: `${offset}`,
      }));
      return admin.setOffsets({ groupId: group, topic, partitions });
    }),

  async producer() {
    let running = true;
    stopped().then(() => (running = false));
    let sent = 0;
    const custom = options.partitioner === "reversed";
    const reversed = () => ({ partitionMetadata, message }) =>
      partitionMetadata.length - 1 - (Number(message.key) % partitionMetadata.length);
    const settings = {
      idempotent: true,
      maxInFlightRequests: 1,
      ...(options.metadata_max_age_ms && { metadataMaxAge: options.metadata_max_age_ms }),
      ...(custom && { createPartitioner: reversed }),
    };
    await withProducer(settings, async (producer) => {
      while (running) {
        const value = `${sent} ${options.padding || ""}`.trim();
        const place = custom ? { key: `${sent}` } : { partition: sent % said.partitions };
        // One at a time: its idempotent producer loses records of sends that overlap when a connection breaks.
        await producer
          .send({ topic, acks: -1, messages: [{ value, ...place }] })
          .then(([at]) => emit("acked", { partition: at.partition, offset: Number(at.baseOffset), value }))
          .catch((error) => emit("refused", { error: String(error) }));
        sent += 1;
        for (const following = Date.now() + 1000 / options.rate; running && Date.now() < following; ) {
          await sleep(Math.max(0, Math.min(100, following - Date.now())));
        }
      }
    });
    emit("done", { sent });
  },

  async member() {
    const stop = stopped();
    const member = await join();
    await stop;
    await member.disconnect();
  },

  async crowd() {
    const stop = stopped();
    const members = await Promise.all(Array.from({ length: options.members }, (_, number) => join(number)));
    await stop;
    await Promise.all(members.map((member) => member.disconnect()));
  },

  async read() {
    const wanted = new Set(options.only || Array.from({ length: options.partitions }, (_, number) => number));
    const ends = await withAdmin((admin) => admin.fetchTopicOffsets(topic));
    const count = ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
    for (const record of await readFromStart(count)) {
      if (wanted.has(record.partition)) emitRecord(topic, record.partition, record);
    }
  },
};

function emitRecord(from, partition, { offset, value, headers = {} }) {
  const plain = Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, String(text)]));
  emit("record", { topic: from, partition, offset: Number(offset), value: String(value), headers: plain });
}

// A running member of the group; `number`: which of a crowd.
async function join(number) {
  const which = number === undefined ? {} : { member: number };
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: options.session_timeout_ms,
    heartbeatInterval: number === undefined ? 500 : 3000,
    maxWaitTimeInMs: options.max_wait_ms || 100,
    allowAutoTopicCreation: false, // a topic that is deleted stays so
    rebalanceTimeout: number === undefined ? 60000 : 120000,
    ...(options.metadata_max_age_ms && { metadataMaxAge: options.metadata_max_age_ms }),
  });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const owned = Object.values(payload.memberAssignment).flat();
    emit("assignment", { partitions: owned.sort((left, right) => left - right), ...which });
  });
  consumer.on(consumer.events.REBALANCING, () => emit("assignment", { partitions: [], ...which }));
  let letters;
  if (options.dead_letter) {
    letters = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await letters.connect();
  }
  // A record that the program cannot take goes to the dead letters' topic, if there is one.
  const bury = async (from, partition, { offset, value }) => {
    if (!letters || !String(value).endsWith("7")) return;
    const headers = { topic: from, partition: `${partition}`, offset };
    await letters.send({ topic: options.dead_letter, messages: [{ value, headers }] });
  };
  await consumer.connect();
  const topics = [options.pattern ? new RegExp(options.pattern) : topic];
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, isStale }) => {
      if (isStale() || batch.messages.length === 0) return;
      for (const message of batch.messages) {
        await bury(batch.topic, batch.partition, message);
        emitRecord(batch.topic, batch.partition, message);
        resolveOffset(message.offset);
      }
      const next = Number(batch.lastOffset()) + 1;
      try {
        await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: `${next}` }]);
        emit("committed", { offsets: { [batch.partition]: next } });
      } catch (error) {
        emit("not-committed", { error: String(error) });
        throw error;
      }
    },
  });
  said.onPause = (paused) => {
    if (paused) consumer.pause([{ topic }]);
    else consumer.resume([{ topic }]);
    emit(paused ? "paused" : "resumed", {});
  };
  return consumer;
}

support.run(scenarios);
