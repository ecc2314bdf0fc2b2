// @platformatic/kafka's scenarios and roles.

import crypto from "node:crypto";
import { Admin, Consumer, Producer, stringSerializers } from "@platformatic/kafka";
import support from "./compat_program.cjs";

const { START, TWELVE_MEGABYTES, check, checkEqual, emit, eventually, options, said, sleep, stopped } = support;
const { topic, group } = options;
const [, host, port] = support.bootstrap.match(/^\[?(.*?)\]?:(\d+)$/);
const connection = {
  clientId: "platformatic-kafka",
  bootstrapBrokers: [{ host, port: Number(port) }],
  retries: 300, // a minute: a broker that restarts on a busy machine
  retryDelay: 200,
  timeout: 30000,
  ...(options.metadata_max_age_ms && { metadataMaxAge: options.metadata_max_age_ms }),
};
const LATEST = -1n;
const EARLIEST = -2n;

const range = (count) => Array.from({ length: count }, (_, number) => number);
const ascending = (left, right) => left - right;

async function using(client, action) {
  try {
    return await action(client);
  } finally {
    await (client instanceof Consumer ? client.close(true) : client.close());
  }
}

const withAdmin = (action) => using(new Admin(connection), action);

const withProducer = (settings, action) => using(new Producer({ ...connection, serializers: stringSerializers, ...settings }), action);

// The messages of an error and of all that it was caused by.
const causes = (error) => [error, ...(error?.errors || []).map(causes), error?.cause ? causes(error.cause) : ""].join(" ");

async function createTopic(partitions, configs) {
  const list = Object.entries(configs || {}).map(([name, value]) => ({ name, value }));
  await withAdmin((admin) => admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: list }));
  await eventually("the new topic is visible", () =>
    withAdmin(async (admin) => {
      const found = await admin.metadata({ topics: [topic], forceUpdate: true }).catch(() => undefined);
      const list = found?.topics.get(topic)?.partitions || [];
      if (list.length !== partitions || !list.every((partition) => partition.leader >= 0)) return false;
      // A leader may not lead yet when metadata already names it; to send again then would double records.
      return offsets(admin, range(partitions), LATEST).then(() => true, () => false);
    }),
  );
}

const deleteTopic = () =>
  withAdmin(async (admin) => {
    await admin.deleteTopics({ topics: [topic] });
    await eventually("the topic is gone", async () => !(await admin.listTopics()).includes(topic));
  });

function sendNumbered(count, partitions, settings = {}) {
  const messages = range(count).map((number) => ({ topic, value: `${number}`, partition: number % partitions }));
  return withProducer(settings, (producer) => producer.send({ messages }));
}

async function offsets(admin, partitions, timestamp) {
  const wanted = partitions.map((partitionIndex) => ({ partitionIndex, timestamp }));
  const [found] = await admin.listOffsets({ topics: [{ name: topic, partitions: wanted }] });
  return new Map(found.partitions.map((one) => [one.partitionIndex, Number(one.offset)]));
}

// Hands each record to `seen` until that answers true.
async function consume(settings, seen, afterJoin = async () => {}) {
  const consumer = new Consumer({ ...connection, groupId: settings.groupId || group, maxWaitTime: 100, ...settings.client });
  await using(consumer, async () => {
    const stream = await consumer.consume({ topics: [topic], autocommit: false, mode: "earliest", ...settings.stream });
    await afterJoin(consumer);
    let timer;
    const done = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error("not all records within 40 s")), 40000);
      stream.on("error", reject);
      stream.on("data", (message) => seen(message) && resolve());
    });
    await done.finally(() => clearTimeout(timer));
    await stream.close();
  });
}

// The topic's records, of which there are `count` and no more.
async function readFromStart(count, settings = {}) {
  const records = [];
  await consume({ groupId: `${group}-${crypto.randomUUID()}`, ...settings }, (record) => records.push(record) >= count);
  checkEqual(records.length, count, "records read");
  return records;
}

const text = (value) => (value === null || value === undefined ? null : String(value));

async function produce(compression) {
  await createTopic(3);
  const filling = "abcdefgh".repeat(Math.floor(options.value_bytes / 8));
  const sent = range(options.records).map((number) => ({
    topic,
    key: `key-${number % 10}`,
    value: `value-${number}-${filling}`,
    headers: number % 3 ? { number: `${number}`, empty: "" } : {},
    timestamp: BigInt(START + number),
  }));
  delete sent[1].key;
  delete sent[2].value;
  await withProducer({}, (producer) => producer.send({ messages: sent, compression }));
  const back = new Map();
  const partitions = new Map();
  for (const record of await readFromStart(sent.length)) {
    back.set(record.timestamp, record);
    const key = text(record.key);
    if (key) {
      check(!partitions.has(key) || partitions.get(key) === record.partition, `${key} is in two partitions`);
      partitions.set(key, record.partition);
    }
  }
  for (const record of sent) {
    const found = back.get(record.timestamp);
    check(found, `no record with timestamp ${record.timestamp}`);
    checkEqual([text(found.key) || null, text(found.value) || null], [text(record.key), text(record.value)], "key and value");
    const headers = Object.fromEntries([...found.headers].map(([name, value]) => [String(name), text(value)]));
    checkEqual(headers, record.headers, "headers");
  }
}

const scenarios = {
  async "consume-from-start"() {
    await createTopic(2);
    await sendNumbered(100, 2);
    const values = new Set((await readFromStart(100)).map((record) => String(record.value)));
    checkEqual(values.size, 100, "different values");
  },

  async "consume-from-end"() {
    await createTopic(1);
    await sendNumbered(50, 1);
    const read = [];
    const seen = (record) => read.push(Number(record.offset)) >= 10;
    await consume({ stream: { mode: "latest" } }, seen, () => sendNumbered(10, 1));
    checkEqual(read, range(10).map((number) => 50 + number), "offsets");
  },

  async "consume-from-timestamp"() {
    await createTopic(1);
    const messages = range(50).map((number) => ({ topic, value: `${number}`, timestamp: BigInt(START + number * 1000) }));
    await withProducer({}, (producer) => producer.send({ messages }));
    await withAdmin(async (admin) => {
      for (const [after, offset] of [[-5, 0], [25000, 25], [25001, 26], [50000, -1]]) {
        checkEqual((await offsets(admin, [0], BigInt(START + after))).get(0), offset, `offset at ${after}`);
      }
    });
    const read = [];
    const stream = { mode: "manual", offsets: [{ topic, partition: 0, offset: 25n }] };
    await consume({ stream }, (record) => read.push(String(record.value)));
    checkEqual(read[0], "25", "first value");
  },

  async "idempotent-produce"() {
    await createTopic(1);
    await withProducer({ idempotent: true }, async (producer) => {
      for (let first = 0; first < 1000; first += 10) {
        await producer.send({ messages: range(10).map((number) => ({ topic, value: `${first + number}` })) });
      }
    });
    const values = (await readFromStart(1000)).map((record) => Number(record.value));
    check(values.every((value, index) => value === index), "values in order");
  },

  async topics() {
    await createTopic(3, { "retention.ms": "123456789" });
    await withAdmin(async (admin) => {
      check((await admin.listTopics()).includes(topic), "the topic is listed");
      const resources = [{ resourceType: 2, resourceName: topic, configurationKeys: ["retention.ms"] }];
      const [described] = await admin.describeConfigs({ resources });
      checkEqual(described.configs[0].value, "123456789", "retention.ms");
      const error = await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }).catch((refused) => refused);
      check(causes(error).includes("already exists"), `created twice: ${error}`);
    });
    await sendNumbered(5, 1);
    await deleteTopic();
    await createTopic(5);
    await sendNumbered(1, 1);
    await readFromStart(1);
  },

  async "auto-create-topic"() {
    await sendNumbered(3, 1, { autocreateTopics: true });
    await readFromStart(3);
  },

  async "large-record"() {
    await createTopic(1, { "max.message.bytes": `${TWELVE_MEGABYTES}` });
    const value = crypto.randomBytes(10 * 1024 * 1024);
    await withProducer({ serializers: undefined }, (producer) => producer.send({ messages: [{ topic, value }] }));
    const client = { maxBytes: 2 * TWELVE_MEGABYTES, maxBytesPerPartition: TWELVE_MEGABYTES };
    const [record] = await readFromStart(1, { client });
    check(value.equals(record.value), "the value comes back equal");
  },

  async "thousand-partitions"() {
    await createTopic(1000);
    const chosen = [0, 1, 499, 999];
    await withProducer({}, (producer) =>
      producer.send({ messages: chosen.map((partition) => ({ topic, value: "x", partition })) }),
    );
    const found = (await readFromStart(chosen.length)).map((record) => record.partition);
    checkEqual(found.sort(ascending), chosen, "partitions with records");
    await deleteTopic();
  },

  async "commit-metadata"() {
    await createTopic(3);
    await sendNumbered(30, 3);
    const consumer = new Consumer({ ...connection, groupId: group });
    await using(consumer, async () => {
      const stream = await consumer.consume({ topics: [topic], autocommit: false, mode: "earliest" });
      await consumer.commit({
        offsets: [
          { topic, partition: 0, offset: 7n, leaderEpoch: 0 },
          { topic, partition: 1, offset: 3n, leaderEpoch: 0 },
        ],
      });
      await stream.close();
    });
    await withAdmin(async (admin) => {
      const [found] = await admin.listConsumerGroupOffsets({ groups: [group] });
      const committed = found.topics[0].partitions.map((one) => [one.partitionIndex, Number(one.committedOffset)]);
      checkEqual(committed.sort(), [[0, 7], [1, 3]], "commits");
    });
    const lowest = [Infinity, Infinity, Infinity];
    let count = 0;
    await consume({ stream: { mode: "committed", fallbackMode: "earliest" } }, ({ partition, offset }) => {
      lowest[partition] = Math.min(lowest[partition], Number(offset));
      return ++count === 3 + 7 + 10;
    });
    checkEqual(lowest, [7, 3, 0], "resumes at the commits");
  },

  async "admin-groups"() {
    await createTopic(2);
    await sendNumbered(10, 2);
    await withAdmin(async (admin) => {
      const listed = async (states) => (await admin.listGroups(states && { states })).has(group);
      const described = async () => (await admin.describeGroups({ groups: [group] })).get(group);
      const consumer = new Consumer({ ...connection, groupId: group });
      await using(consumer, async () => {
        const stream = await consumer.consume({ topics: [topic], autocommit: false, mode: "earliest" });
        check(await listed(), "the group is listed");
        const running = await described();
        checkEqual([running.state, running.members.size], ["Stable", 1], "while it runs");
        await stream.close();
      });
      const empty = await described();
      checkEqual([empty.state, empty.members.size], ["Empty", 0], "after its member left");
      check(await listed(["EMPTY"]), "listed among the empty ones");
      check(!(await listed(["STABLE"])), "not listed among the stable ones");
      await admin.deleteGroups({ groups: [group] });
      check(!(await listed()), "the group is gone");
    });
  },

  async "consumer-lag"() {
    await createTopic(1);
    await sendNumbered(20, 1);
    await withAdmin(async (admin) => {
      await admin.alterConsumerGroupOffsets({
        groupId: group,
        topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 5n }] }],
      });
      const [found] = await admin.listConsumerGroupOffsets({ groups: [group] });
      const end = (await offsets(admin, [0], LATEST)).get(0);
      checkEqual(end - Number(found.topics[0].partitions[0].committedOffset), 15, "lag");
    });
  },

  async "delete-records"() {
    await createTopic(1);
    await sendNumbered(20, 1);
    await withAdmin(async (admin) => {
      const [answer] = await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 10n }] }] });
      checkEqual(Number(answer.partitions[0].lowWatermark), 10, "low watermark");
      checkEqual((await offsets(admin, [0], EARLIEST)).get(0), 10, "first offset");
    });
    checkEqual(Number((await readFromStart(10))[0].offset), 10, "first offset read");
  },

  // Roles

  create: () => createTopic(options.partitions, options.configs),

  delete: deleteTopic,

  grow: () => withAdmin((admin) => admin.createPartitions({ topics: [{ name: topic, count: options.partitions, assignments: null }] })),

  reset: () =>
    withAdmin((admin) => {
      const entries = Object.entries(options.offsets);
      const partitionOffsets = entries.map(([partition, offset]) => ({ partition: Number(partition), offset: BigInt(offset) }));
      return admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] });
    }),

  async producer() {
    stopped();
    let sent = 0;
    const custom = options.partitioner === "reversed";
    const partitioner = (message) => options.partitions - 1 - (Number(message.key) % options.partitions);
    await withProducer({ idempotent: true, acks: -1, ...(custom && { partitioner }) }, async (producer) => {
      while (!said.stopped) {
        const value = `${sent} ${options.padding || ""}`.trim();
        const place = custom ? { key: `${sent}` } : { partition: sent % said.partitions };
        try {
          const { offsets: [at] } = await producer.send({ messages: [{ topic, value, ...place }] });
          emit("acked", { partition: at.partition, offset: at.offset, value });
        } catch (error) {
          emit("refused", { error: String(error) });
        }
        sent += 1;
        for (const following = Date.now() + 1000 / options.rate; !said.stopped && Date.now() < following; ) {
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
    await member.close(true);
  },

  async crowd() {
    const stop = stopped();
    const members = await Promise.all(range(options.members).map(join));
    await stop;
    await Promise.all(members.map((member) => member.close(true)));
  },

  async read() {
    const all = range(options.partitions);
    const [starts, ends] = await withAdmin(async (admin) => [
      await offsets(admin, all, EARLIEST),
      await offsets(admin, all, LATEST),
    ]);
    const count = all.reduce((sum, partition) => sum + ends.get(partition) - starts.get(partition), 0);
    if (count) (await readFromStart(count)).forEach(emitRecord);
  },
};

for (const codec of ["none", "gzip", "snappy", "lz4", "zstd"]) scenarios[`produce-${codec}`] = () => produce(codec);

function emitRecord({ topic: from, partition, offset, value, headers }) {
  const plain = Object.fromEntries([...headers].map(([name, content]) => [String(name), String(content)]));
  emit("record", { topic: from, partition, offset, value: String(value), headers: plain });
}

// A running member of the group; `number`: which of a crowd.
async function join(number) {
  const which = number === undefined ? {} : { member: number };
  const consumer = new Consumer({
    ...connection,
    groupId: group,
    sessionTimeout: options.session_timeout_ms,
    rebalanceTimeout: 120000,
    heartbeatInterval: number === undefined ? 500 : 3000,
    maxWaitTime: options.max_wait_ms || 100,
    timeout: Math.max(30000, 2 * (options.max_wait_ms || 0)),
    minBytes: 1,
    ...(options.instance_id && { groupInstanceId: options.instance_id }),
  });
  consumer.on("consumer:group:join", ({ assignments }) => {
    const owned = (assignments || []).flatMap((one) => one.partitions);
    emit("assignment", { partitions: owned.sort(ascending), ...which });
  });
  consumer.on("consumer:group:rebalance", () => emit("assignment", { partitions: [], ...which }));
  const letters = options.dead_letter && new Producer({ ...connection, serializers: stringSerializers });
  const stream = await consumer.consume({ topics: [topic], autocommit: false, mode: "committed", fallbackMode: "earliest" });
  stream.on("error", (error) => emit("poll-error", { error: String(error) }));
  said.onPause = (paused) => {
    if (paused) stream.pause();
    else stream.resume();
    emit(paused ? "paused" : "resumed", {});
  };
  let previous = Promise.resolve();
  stream.on("data", (message) => {
    previous = previous.then(() => take(consumer, letters, message));
  });
  return consumer;
}

async function take(consumer, letters, message) {
  const { topic: from, partition, offset, value } = message;
  // A record that the program cannot take goes to the dead letters' topic, if there is one.
  if (letters && String(value).endsWith("7")) {
    const headers = { topic: from, partition: `${partition}`, offset: `${offset}` };
    await letters.send({ messages: [{ topic: options.dead_letter, value: String(value), headers }] });
  }
  emitRecord(message);
  try {
    await consumer.commit({ offsets: [{ topic: from, partition, offset: offset + 1n, leaderEpoch: 0 }] });
    emit("committed", { offsets: { [partition]: offset + 1n } });
  } catch (error) {
    emit("not-committed", { error: String(error) });
  }
}

support.run(scenarios);
