// The Java client's side of the harness' protocol: options, clients, checks, results.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Program {
    interface Action {
        void run(Program program) throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    private static final ObjectMapper JSON = new ObjectMapper();

    final String role;
    final String bootstrap;
    final JsonNode options;
    final String topic;
    final String group;
    final CountDownLatch stopped = new CountDownLatch(1);
    /** What the harness may change while the program runs. */
    volatile boolean paused;
    volatile int partitionsUsed;

    private Program(String role, String bootstrap, JsonNode options) {
        this.role = role;
        this.bootstrap = bootstrap;
        this.options = options;
        this.topic = options.path("topic").asText(role);
        this.group = options.path("group").asText("group-" + role);
        this.partitionsUsed = option("partitions", 1);
    }

    public static void main(String[] arguments) throws Exception {
        String given = Objects.requireNonNullElse(System.getenv("COMPAT_OPTIONS"), "{}");
        Program program = new Program(arguments[0], arguments[1], JSON.readTree(given));
        long started = System.nanoTime();
        String error = null;
        try {
            Map<String, Action> actions = new LinkedHashMap<>();
            Actions.list(actions);
            Action action = actions.get(program.role);
            check(action != null, "the program has no scenario " + program.role);
            action.run(program);
        } catch (Throwable failure) {
            failure.printStackTrace();
            error = failure.toString();
        }
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("scenario", program.role);
        result.put("passed", error == null);
        result.put("seconds", (System.nanoTime() - started) / 10_000_000 / 100.0);
        result.put("error", error);
        emit("result", result);
        System.out.flush();
        Runtime.getRuntime().halt(error == null ? 0 : 1);
    }

    static synchronized void emit(String event, Map<String, ?> fields) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.putAll(fields);
        try {
            System.out.println(JSON.writeValueAsString(line));
        } catch (Exception impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** From now on, follow what the harness says; `stopped` counts down when that is stop, or the harness is gone. */
    void listen() {
        Thread reader = new Thread(() -> {
            try (BufferedReader lines = new BufferedReader(new InputStreamReader(System.in))) {
                String line = lines.readLine();
                while (line != null && !line.trim().equals("stop")) {
                    obey(line.trim().split(" "));
                    line = lines.readLine();
                }
            } catch (Exception gone) {
                // The harness is gone: stop.
            }
            stopped.countDown();
        });
        reader.setDaemon(true);
        reader.start();
    }

    private void obey(String[] words) {
        switch (words[0]) {
            case "pause" -> paused = true;
            case "resume" -> paused = false;
            case "partitions" -> partitionsUsed = Integer.parseInt(words[1]);
            default -> System.err.println("the harness said " + words[0]);
        }
    }

    String text(String name, String otherwise) {
        return options.path(name).asText(otherwise);
    }

    int option(String name, int otherwise) {
        return options.path(name).asInt(otherwise);
    }

    static void check(boolean condition, String message) {
        if (!condition) {
            throw new AssertionError(message);
        }
    }

    static void checkEqual(Object actual, Object expected, String what) {
        check(Objects.equals(actual, expected), what + ": " + actual + ", expected " + expected);
    }

    static void eventually(Condition condition, String what) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        Object last = "false";
        while (System.nanoTime() < deadline) {
            try {
                if (condition.holds()) {
                    return;
                }
            } catch (Exception error) {
                last = error;
            }
            Thread.sleep(100);
        }
        throw new AssertionError(what + ": not within 20 s, last " + last);
    }

    Map<String, Object> with(Object... pairs) {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("reconnect.backoff.max.ms", "500");
        if (options.has("metadata_max_age_ms")) {
            settings.put("metadata.max.age.ms", option("metadata_max_age_ms", 0));
        }
        for (int index = 0; index < pairs.length; index += 2) {
            settings.put((String) pairs[index], pairs[index + 1]);
        }
        return settings;
    }

    static Object[] pairs(Map<String, Object> settings) {
        return settings.entrySet().stream().flatMap(entry -> Stream.of(entry.getKey(), entry.getValue())).toArray();
    }

    Admin admin() {
        return Admin.create(with());
    }

    KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(with(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        Map<String, Object> settings = with("auto.offset.reset", "earliest", "enable.auto.commit", "false", "group.id", group);
        for (int index = 0; index < pairs.length; index += 2) {
            settings.put((String) pairs[index], pairs[index + 1]);
        }
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void createTopic(int partitions, Map<String, String> configs) throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
            eventually(
                () -> Api.describe(admin, topic).partitions().stream()
                    .filter(partition -> partition.leader() != null).count() == partitions,
                "the new topic is visible");
        }
    }

    TopicPartition partition(int number) {
        return new TopicPartition(topic, number);
    }

    List<TopicPartition> partitions(int count) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            partitions.add(partition(number));
        }
        return partitions;
    }

    void sendNumbered(int count, int partitions, Object... settings) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(settings)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = 0; number < count; number++) {
                byte[] value = Integer.toString(number).getBytes();
                sent.add(producer.send(new ProducerRecord<>(topic, number % partitions, null, value)));
            }
            for (Future<RecordMetadata> future : sent) {
                future.get();
            }
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> pollUntil(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (records.size() < count) {
            check(System.nanoTime() < deadline, records.size() + " of " + count + " records within 30 s");
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        }
        return records;
    }

    /** The topic's records, of which there are `count` and no more. */
    List<ConsumerRecord<byte[], byte[]>> readFromStart(int count, int partitions, Object... settings) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            Collection<TopicPartition> all = partitions(partitions);
            consumer.assign(all);
            consumer.seekToBeginning(all);
            List<ConsumerRecord<byte[], byte[]>> records = pollUntil(consumer, count);
            consumer.poll(Duration.ofMillis(300)).forEach(records::add);
            checkEqual(records.size(), count, "records read");
            return records;
        }
    }
}
