// What Java's clients from 0.9 to 2.0 say to a broker, by what all of them have; their codecs are the same four.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Program {
    private static final int COUNT = 300;
    private static final String PREFIX = "group-";

    private final String bootstrap;
    private final String topic;
    private final String group;

    private Program(String bootstrap, JsonNode options) {
        this.bootstrap = bootstrap;
        this.topic = options.path("topic").asText("records");
        this.group = options.path("group").asText("group");
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        JsonNode options = json.readTree(Objects.requireNonNullElse(System.getenv("COMPAT_OPTIONS"), "{}"));
        long started = System.nanoTime();
        String error = null;
        try {
            check(arguments[0].startsWith(PREFIX), "the program has no scenario " + arguments[0]);
            new Program(arguments[1], options).run(arguments[0].substring(PREFIX.length()));
        } catch (Throwable failure) {
            failure.printStackTrace();
            error = failure.toString();
        }
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("event", "result");
        result.put("scenario", arguments[0]);
        result.put("passed", error == null);
        result.put("seconds", (System.nanoTime() - started) / 10_000_000 / 100.0);
        result.put("error", error);
        System.out.println(json.writeValueAsString(result));
        System.out.flush();
        Runtime.getRuntime().halt(error == null ? 0 : 1);
    }

    static void check(boolean condition, String message) {
        if (!condition) {
            throw new AssertionError(message);
        }
    }

    private static void checkEqual(Object actual, Object expected, String what) {
        check(Objects.equals(actual, expected), what + ": " + actual + ", expected " + expected);
    }

    private void run(String codec) throws Exception {
        long start = System.currentTimeMillis();
        write(codec);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.subscribe(List.of(topic));
            List<ConsumerRecord<byte[], byte[]>> records = read(consumer);
            for (int number = 0; number < COUNT; number++) {
                ConsumerRecord<byte[], byte[]> record = records.get(number);
                checkEqual(record.offset(), (long) number, "the offset");
                checkEqual(text(record.key()), text(key(number)), "the key at " + number);
                checkEqual(text(record.value()), text(value(number)), "the value at " + number);
                Times.check(record, start);
            }
            consumer.commitSync();
        }
        try (KafkaConsumer<byte[], byte[]> other = consumer()) {
            checkEqual(other.committed(new TopicPartition(topic, 0)).offset(), (long) COUNT, "the committed offset");
        }
    }

    /** The topic comes into being with the first record; the offsets are counted from 0. */
    private void write(String codec) throws Exception {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("compression.type", codec);
        settings.put("acks", "all");
        settings.put("linger.ms", 20);
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = 0; number < COUNT; number++) {
                sent.add(producer.send(new ProducerRecord<>(topic, key(number), value(number))));
            }
            for (int number = 0; number < COUNT; number++) {
                checkEqual(sent.get(number).get().offset(), (long) number, "the offset of what was sent");
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.currentTimeMillis() + 30_000;
        while (records.size() < COUNT) {
            check(System.currentTimeMillis() < deadline, records.size() + " of " + COUNT + " records within 30 s");
            consumer.poll(200).forEach(records::add);
        }
        checkEqual(records.size(), COUNT, "records read");
        return records;
    }

    private static byte[] key(int number) {
        return number % 3 == 0 ? null : ("k" + number).getBytes();
    }

    private static byte[] value(int number) {
        return number % 5 == 0 ? null : ("v" + number).getBytes();
    }

    private static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes);
    }
}
