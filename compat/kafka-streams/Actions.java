// Kafka Streams: a word count with state, restored and scaled out.

import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

final class Actions {
    private static final int PARTITIONS = 3;

    private Actions() {
    }

    static void list(Map<String, Program.Action> actions) {
        actions.put("word-count", Actions::wordCount);
        actions.put("state-restored", Actions::stateRestored);
        actions.put("scaled-out", Actions::scaledOut);
        actions.put("windowed-count", Actions::windowedCount);
    }

    private static String output(Program program) {
        return program.topic + "-counts";
    }

    private static void createTopics(Program program) throws Exception {
        try (Admin admin = program.admin()) {
            List<NewTopic> topics = new ArrayList<>();
            for (String name : List.of(program.topic, output(program))) {
                topics.add(new NewTopic(name, PARTITIONS, (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    private static KStream<String, String> words(StreamsBuilder builder, Program program) {
        KStream<String, String> lines = builder.stream(program.topic);
        // The new key sends each word through a topic of its own, so that all its occurrences meet.
        return lines.flatMapValues(line -> Arrays.asList(line.split(" "))).map((key, word) -> KeyValue.pair(word, word));
    }

    private static Topology counting(Program program) {
        StreamsBuilder builder = new StreamsBuilder();
        words(builder, program).groupByKey().count(Materialized.as("counts"))
            .toStream().to(output(program), Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    private static KafkaStreams start(Program program, Topology topology) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, program.group);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, program.bootstrap);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("streams").toString());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        settings.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 500);
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.start();
        return streams;
    }

    private static void send(Program program, String... lines) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = program.producer()) {
            for (int number = 0; number < lines.length; number++) {
                producer.send(new ProducerRecord<>(program.topic, number % PARTITIONS, null, lines[number].getBytes())).get();
            }
        }
    }

    /** The latest count of each word in the output topic. */
    private static Map<String, Long> counts(Program program) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int number = 0; number < PARTITIONS; number++) {
            partitions.add(new TopicPartition(output(program), number));
        }
        Map<String, Long> counts = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer("group.id", program.group + "-reader")) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    counts.put(new String(record.key()), Serdes.Long().deserializer().deserialize("", record.value()));
                }
            }
        }
        return counts;
    }

    private static void expect(Program program, Map<String, Long> expected, String what) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(90).toNanos();
        Map<String, Long> found = counts(program);
        while (!found.equals(expected)) {
            Program.check(System.nanoTime() < deadline, what + ": " + found + ", expected " + expected);
            Thread.sleep(200);
            found = counts(program);
        }
    }

    private static void wordCount(Program program) throws Exception {
        createTopics(program);
        try (KafkaStreams streams = start(program, counting(program))) {
            String[] lines = {"to be or not to be", "that is the question", "be that as it may"};
            send(program, lines);
            Map<String, Long> expected = new HashMap<>();
            for (String line : lines) {
                for (String word : line.split(" ")) {
                    expected.merge(word, 1L, Long::sum);
                }
            }
            expect(program, expected, "counts");
        }
        try (Admin admin = program.admin()) {
            String changelog = program.group + "-counts-changelog";
            Program.check(admin.listTopics().names().get().contains(changelog), "there is a changelog");
        }
    }

    private static void stateRestored(Program program) throws Exception {
        createTopics(program);
        try (KafkaStreams streams = start(program, counting(program))) {
            send(program, "one two two", "three three three");
            expect(program, Map.of("one", 1L, "two", 2L, "three", 3L), "counts before the restart");
        }
        try (KafkaStreams streams = start(program, counting(program))) {
            send(program, "one two three");
            expect(program, Map.of("one", 2L, "two", 3L, "three", 4L), "counts after the restart");
        }
    }

    private static void scaledOut(Program program) throws Exception {
        createTopics(program);
        Map<String, Long> expected = new HashMap<>();
        KafkaStreams first = start(program, counting(program));
        round(program, expected, "alone");
        KafkaStreams second = start(program, counting(program));
        Program.eventually(() -> second.metadataForLocalThreads().stream()
            .anyMatch(thread -> !thread.activeTasks().isEmpty()), "the second instance has tasks");
        round(program, expected, "two instances");
        first.close(Duration.ofSeconds(30));
        round(program, expected, "the second alone");
        second.close(Duration.ofSeconds(30));
    }

    /** Sends each of 20 words once more and waits until all are counted. */
    private static void round(Program program, Map<String, Long> expected, String what) throws Exception {
        String[] words = new String[20];
        for (int number = 0; number < words.length; number++) {
            words[number] = "word-" + number;
            expected.merge(words[number], 1L, Long::sum);
        }
        send(program, words);
        expect(program, expected, what);
    }

    private static void windowedCount(Program program) throws Exception {
        createTopics(program);
        StreamsBuilder builder = new StreamsBuilder();
        words(builder, program).groupByKey(Grouped.as("windowed"))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(30))).count()
            .toStream((window, count) -> window.key() + "@" + window.window().start() % 60_000 / 1000)
            .to(output(program), Produced.with(Serdes.String(), Serdes.Long()));
        try (KafkaStreams streams = start(program, builder.build());
            KafkaProducer<byte[], byte[]> producer = program.producer()) {
            long minute = System.currentTimeMillis() / 60_000 * 60_000 - 3_600_000;
            for (int second : new int[] {1, 2, 11, 12, 13, 3, 25}) { // 3 is late, and within the grace
                producer.send(new ProducerRecord<>(program.topic, 0, minute + second * 1000L, null, "word".getBytes())).get();
            }
            expect(program, Map.of("word@0", 3L, "word@10", 3L, "word@20", 1L), "counts per window");
        }
    }
}
