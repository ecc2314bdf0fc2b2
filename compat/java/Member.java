// One consumer of a group, or a crowd of them; says what it owns and reads, and commits what each poll gave.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;

final class Member implements ConsumerRebalanceListener {
    private final Program program;
    private final Integer number;
    private final TreeSet<Integer> owned = new TreeSet<>();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final KafkaProducer<byte[], byte[]> deadLetters;
    private boolean paused;

    /** `number`: which of a crowd, or null. */
    private Member(Program program, Integer number) {
        this.program = program;
        this.number = number;
        this.deadLetters = program.options.has("dead_letter") ? program.producer() : null;
        this.consumer = program.consumer(Program.pairs(settings()));
        if (program.options.has("pattern")) {
            consumer.subscribe(Pattern.compile(program.text("pattern", "")), this);
        } else {
            consumer.subscribe(List.of(program.topic), this);
        }
    }

    static void list(Map<String, Program.Action> actions) {
        actions.put("member", program -> {
            program.listen();
            new Member(program, null).run();
        });
        actions.put("crowd", Member::crowd);
    }

    private static void crowd(Program program) throws Exception {
        program.listen();
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < program.option("members", 1); number++) {
            Member member = new Member(program, number);
            threads.add(new Thread(member::run));
            threads.get(number).start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        Class<?> assignor = switch (program.text("assignor", "eager")) {
            case "cooperative" -> CooperativeStickyAssignor.class;
            case "sticky" -> StickyAssignor.class;
            default -> RangeAssignor.class;
        };
        settings.put("partition.assignment.strategy", assignor.getName());
        settings.put("allow.auto.create.topics", "false"); // a topic that is deleted stays so
        settings.put("session.timeout.ms", program.option("session_timeout_ms", 6000));
        settings.put("heartbeat.interval.ms", number == null ? 500 : 3000);
        if (program.options.path("instance_id").isTextual()) {
            settings.put("group.instance.id", program.text("instance_id", ""));
        }
        int wait = program.option("max_wait_ms", 0);
        if (wait > 0) {
            settings.put("fetch.max.wait.ms", wait);
            settings.put("request.timeout.ms", 2 * wait);
        }
        return settings;
    }

    private void report() {
        Map<String, Object> fields = new LinkedHashMap<>(Map.of("partitions", new TreeSet<>(owned)));
        if (number != null) {
            fields.put("member", number);
        }
        Program.emit("assignment", fields);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        partitions.forEach(partition -> owned.remove(partition.partition()));
        report();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        partitions.forEach(partition -> owned.add(partition.partition()));
        report();
    }

    private void run() {
        while (program.stopped.getCount() > 0) {
            followPauses();
            consumeSome();
        }
        consumer.close();
    }

    private void followPauses() {
        if (paused != program.paused) {
            paused = program.paused;
            if (paused) {
                consumer.pause(consumer.assignment());
            } else {
                consumer.resume(consumer.paused());
            }
            Program.emit(paused ? "paused" : "resumed", Map.of());
        }
    }

    private void consumeSome() {
        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
        Map<TopicPartition, OffsetAndMetadata> offsets = new LinkedHashMap<>();
        Map<String, Long> committed = new TreeMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            bury(record);
            Roles.emitRecord(record);
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            offsets.put(partition, new OffsetAndMetadata(record.offset() + 1));
            committed.put(Integer.toString(record.partition()), record.offset() + 1);
        }
        if (offsets.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(offsets);
            Program.emit("committed", Map.of("offsets", committed));
        } catch (KafkaException error) {
            Program.emit("not-committed", Map.of("error", error.toString()));
        }
    }

    /** Sends a record that the program cannot take to the dead letters' topic, if there is one. */
    private void bury(ConsumerRecord<byte[], byte[]> record) {
        if (deadLetters == null || !new String(record.value()).endsWith("7")) {
            return;
        }
        ProducerRecord<byte[], byte[]> letter = new ProducerRecord<>(program.text("dead_letter", ""), record.value());
        Headers headers = letter.headers();
        headers.add("topic", record.topic().getBytes());
        headers.add("partition", Integer.toString(record.partition()).getBytes());
        headers.add("offset", Long.toString(record.offset()).getBytes());
        try {
            deadLetters.send(letter).get();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
