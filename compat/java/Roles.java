// What the harness runs several of: a topic's creator, a steady producer, a group's member, a reader of all.

import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

final class Roles {
    private Roles() {
    }

    static void list(Map<String, Program.Action> actions) {
        actions.put("create", program -> program.createTopic(program.option("partitions", 1), Map.of()));
        actions.put("producer", Roles::producer);
        actions.put("member", Roles::member);
        actions.put("read", Roles::read);
    }

    private static void producer(Program program) throws Exception {
        program.listen();
        int partitions = program.option("partitions", 1);
        long pause = 1000 / program.option("rate", 100);
        int sent = 0;
        try (KafkaProducer<byte[], byte[]> producer = program.producer("enable.idempotence", "true")) {
            while (!program.stopped.await(pause, TimeUnit.MILLISECONDS)) {
                String value = Integer.toString(sent);
                producer.send(new ProducerRecord<>(program.topic, sent % partitions, null, value.getBytes()), (place, error) -> {
                    if (error != null) {
                        Program.emit("refused", Map.of("error", error.toString()));
                    } else {
                        Program.emit("acked", Map.of("partition", place.partition(), "offset", place.offset(), "value", value));
                    }
                });
                sent++;
            }
        }
        Program.emit("done", Map.of("sent", sent));
    }

    private static void emitRecord(ConsumerRecord<byte[], byte[]> record) {
        Program.emit("record", Map.of(
            "partition", record.partition(), "offset", record.offset(), "value", new String(record.value())));
    }

    private static void member(Program program) throws Exception {
        program.listen();
        boolean cooperative = program.options.path("assignor").asText().equals("cooperative");
        Class<?> assignor = cooperative ? CooperativeStickyAssignor.class : RangeAssignor.class;
        Map<String, Object> more = new LinkedHashMap<>();
        more.put("partition.assignment.strategy", assignor.getName());
        more.put("session.timeout.ms", program.option("session_timeout_ms", 6000));
        more.put("heartbeat.interval.ms", 500);
        if (program.options.path("instance_id").isTextual()) {
            more.put("group.instance.id", program.options.path("instance_id").asText());
        }
        Object[] pairs = more.entrySet().stream().flatMap(entry -> List.of(entry.getKey(), entry.getValue()).stream()).toArray();
        TreeSet<Integer> owned = new TreeSet<>();
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer(pairs)) {
            consumer.subscribe(List.of(program.topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    partitions.forEach(partition -> owned.remove(partition.partition()));
                    Program.emit("assignment", Map.of("partitions", owned));
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    partitions.forEach(partition -> owned.add(partition.partition()));
                    Program.emit("assignment", Map.of("partitions", owned));
                }
            });
            while (program.stopped.getCount() > 0) {
                consumeSome(consumer);
            }
        }
    }

    private static void consumeSome(KafkaConsumer<byte[], byte[]> consumer) {
        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
        Map<TopicPartition, OffsetAndMetadata> offsets = new LinkedHashMap<>();
        Map<String, Long> committed = new TreeMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            emitRecord(record);
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

    private static void read(Program program) throws Exception {
        List<TopicPartition> partitions = program.partitions(program.option("partitions", 1));
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(200)).forEach(Roles::emitRecord);
            }
        }
    }
}
