// Producing and consuming with the Java client.

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

final class Scenarios {
    // In the past, but not so far that retention would remove the records.
    private static final long START = System.currentTimeMillis() - 3_600_000;
    private static final int TWELVE_MEGABYTES = 12 * 1024 * 1024;

    private Scenarios() {
    }

    static void list(Map<String, Program.Action> actions) {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            actions.put("produce-" + codec, program -> produce(program, codec));
        }
        actions.put("consume-from-start", Scenarios::consumeFromStart);
        actions.put("consume-from-end", Scenarios::consumeFromEnd);
        actions.put("consume-from-timestamp", Scenarios::consumeFromTimestamp);
        actions.put("idempotent-produce", Scenarios::idempotentProduce);
        actions.put("auto-create-topic", Scenarios::autoCreateTopic);
        actions.put("large-record", Scenarios::largeRecord);
        actions.put("thousand-partitions", Scenarios::thousandPartitions);
    }

    private static List<ProducerRecord<byte[], byte[]>> expectedRecords(Program program) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int number = 0; number < program.option("records", 100); number++) {
            List<Header> headers = new ArrayList<>();
            if (number % 3 != 0) {
                headers.add(new RecordHeader("number", Integer.toString(number).getBytes()));
                headers.add(new RecordHeader("empty", new byte[0]));
                headers.add(new RecordHeader("null", null));
                headers.add(new RecordHeader("number", "again".getBytes()));
            }
            byte[] key = number == 1 ? null : ("key-" + number % 10).getBytes();
            String filling = "abcdefgh".repeat(program.option("value_bytes", 1000) / 8);
            byte[] value = number == 2 ? null : ("value-" + number + "-" + filling).getBytes();
            records.add(new ProducerRecord<>(program.topic, null, START + number, key, value, headers));
        }
        return records;
    }

    private static void produce(Program program, String codec) throws Exception {
        program.createTopic(3, Map.of());
        List<ProducerRecord<byte[], byte[]>> sent = expectedRecords(program);
        List<RecordMetadata> places = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = program.producer("compression.type", codec, "linger.ms", "20")) {
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> record : sent) {
                futures.add(producer.send(record));
            }
            for (Future<RecordMetadata> future : futures) {
                places.add(future.get());
            }
        }
        Map<String, ConsumerRecord<byte[], byte[]>> received = new HashMap<>();
        Set<String> keys = new HashSet<>();
        Set<String> keysAndPartitions = new HashSet<>();
        for (ConsumerRecord<byte[], byte[]> record : program.readFromStart(sent.size(), 3)) {
            received.put(record.partition() + "@" + record.offset(), record);
            if (record.key() != null) {
                keys.add(new String(record.key()));
                keysAndPartitions.add(new String(record.key()) + "@" + record.partition());
            }
        }
        for (int number = 0; number < sent.size(); number++) {
            RecordMetadata place = places.get(number);
            ConsumerRecord<byte[], byte[]> back = received.get(place.partition() + "@" + place.offset());
            Program.check(Arrays.equals(back.key(), sent.get(number).key()), "key " + number);
            Program.check(Arrays.equals(back.value(), sent.get(number).value()), "value " + number);
            Program.checkEqual(back.headers(), sent.get(number).headers(), "headers");
            Program.checkEqual(back.timestamp(), sent.get(number).timestamp(), "timestamp");
        }
        Program.checkEqual(keysAndPartitions.size(), keys.size(), "partitions per key");
    }

    private static void consumeFromStart(Program program) throws Exception {
        program.createTopic(2, Map.of());
        program.sendNumbered(100, 2);
        Set<String> values = new HashSet<>();
        program.readFromStart(100, 2).forEach(record -> values.add(new String(record.value())));
        Program.checkEqual(values.size(), 100, "different values");
    }

    private static void consumeFromEnd(Program program) throws Exception {
        program.createTopic(1, Map.of());
        program.sendNumbered(50, 1);
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer("auto.offset.reset", "latest")) {
            consumer.assign(program.partitions(1));
            Program.checkEqual(consumer.position(program.partition(0)), 50L, "position");
            program.sendNumbered(10, 1);
            List<ConsumerRecord<byte[], byte[]>> records = Program.pollUntil(consumer, 10);
            Program.checkEqual(records.get(0).offset(), 50L, "first offset");
            Program.checkEqual(records.get(9).offset(), 59L, "last offset");
        }
    }

    private static void consumeFromTimestamp(Program program) throws Exception {
        program.createTopic(1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = program.producer("linger.ms", "50")) {
            for (int number = 0; number < 50; number++) {
                byte[] value = Integer.toString(number).getBytes();
                producer.send(new ProducerRecord<>(program.topic, 0, START + number * 1000L, null, value));
            }
        }
        TopicPartition partition = program.partition(0);
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
            consumer.assign(List.of(partition));
            for (long[] pair : new long[][] {{START - 5, 0}, {START + 25_000, 25}, {START + 25_001, 26}}) {
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, pair[0])).get(partition);
                Program.checkEqual(found.offset(), pair[1], "offset at " + (pair[0] - START));
                Program.checkEqual(found.timestamp(), START + pair[1] * 1000, "timestamp at " + (pair[0] - START));
            }
            Program.checkEqual(
                consumer.offsetsForTimes(Map.of(partition, START + 50_000)).get(partition), null, "after the last");
            consumer.seek(partition, 25);
            Program.checkEqual(new String(Program.pollUntil(consumer, 1).get(0).value()), "25", "first value");
        }
    }

    private static void idempotentProduce(Program program) throws Exception {
        program.createTopic(1, Map.of());
        program.sendNumbered(1000, 1, "enable.idempotence", "true", "batch.size", "200", "linger.ms", "0");
        List<ConsumerRecord<byte[], byte[]>> records = program.readFromStart(1000, 1);
        for (int number = 0; number < records.size(); number++) {
            Program.checkEqual(new String(records.get(number).value()), Integer.toString(number), "value");
        }
    }

    private static void autoCreateTopic(Program program) throws Exception {
        program.sendNumbered(3, 1);
        program.readFromStart(3, 1);
    }

    private static void largeRecord(Program program) throws Exception {
        program.createTopic(1, Map.of("max.message.bytes", Integer.toString(TWELVE_MEGABYTES)));
        byte[] value = new byte[10 * 1024 * 1024];
        new Random(1).nextBytes(value);
        try (KafkaProducer<byte[], byte[]> producer = program.producer("max.request.size", TWELVE_MEGABYTES)) {
            producer.send(new ProducerRecord<>(program.topic, 0, null, value)).get();
        }
        byte[] back = program.readFromStart(1, 1, "max.partition.fetch.bytes", TWELVE_MEGABYTES).get(0).value();
        Program.check(Arrays.equals(back, value), "the value comes back equal");
    }

    private static void thousandPartitions(Program program) throws Exception {
        program.createTopic(1000, Map.of());
        int[] chosen = {0, 1, 499, 999};
        try (KafkaProducer<byte[], byte[]> producer = program.producer()) {
            for (int partition : chosen) {
                byte[] value = {1};
                long offset = producer.send(new ProducerRecord<>(program.topic, partition, null, value)).get().offset();
                Program.checkEqual(offset, 0L, "offset");
            }
        }
        int[] found = program.readFromStart(chosen.length, 1000).stream().mapToInt(ConsumerRecord::partition).sorted().toArray();
        Program.check(Arrays.equals(found, chosen), "partitions with records: " + Arrays.toString(found));
        try (Admin admin = program.admin()) {
            admin.deleteTopics(List.of(program.topic)).all().get();
        }
    }
}
