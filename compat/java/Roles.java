// What the harness runs several of: who changes topics and offsets, a steady producer, a reader of all.

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

final class Roles {
    private Roles() {
    }

    static void list(Map<String, Program.Action> actions) {
        actions.put("create", Roles::create);
        actions.put("delete", Roles::delete);
        actions.put("grow", Roles::grow);
        actions.put("reset", Roles::reset);
        actions.put("producer", Roles::producer);
        actions.put("read", Roles::read);
    }

    private static void create(Program program) throws Exception {
        Map<String, String> configs = new HashMap<>();
        JsonNode given = program.options.path("configs");
        given.fieldNames().forEachRemaining(name -> configs.put(name, given.get(name).asText()));
        program.createTopic(program.option("partitions", 1), configs);
    }

    private static void delete(Program program) throws Exception {
        try (Admin admin = program.admin()) {
            admin.deleteTopics(List.of(program.topic)).all().get();
            Program.eventually(() -> !admin.listTopics().names().get().contains(program.topic), "the topic is gone");
        }
    }

    private static void grow(Program program) throws Exception {
        try (Admin admin = program.admin()) {
            NewPartitions more = NewPartitions.increaseTo(program.option("partitions", 1));
            admin.createPartitions(Map.of(program.topic, more)).all().get();
        }
    }

    private static void reset(Program program) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        JsonNode given = program.options.path("offsets");
        given.fieldNames().forEachRemaining(number -> offsets.put(
            program.partition(Integer.parseInt(number)), new OffsetAndMetadata(given.get(number).asLong())));
        try (Admin admin = program.admin()) {
            admin.alterConsumerGroupOffsets(program.group, offsets).all().get();
        }
    }

    private static void producer(Program program) throws Exception {
        program.listen();
        long pause = (long) (1000 / program.options.path("rate").asDouble(100));
        String padding = program.text("padding", "");
        Map<String, Object> settings = new LinkedHashMap<>(Map.of("enable.idempotence", "true"));
        boolean custom = program.text("partitioner", "").equals("reversed");
        if (custom) {
            settings.put("partitioner.class", ReversedPartitioner.class.getName());
        }
        int sent = 0;
        try (KafkaProducer<byte[], byte[]> producer = program.producer(Program.pairs(settings))) {
            while (!program.stopped.await(pause, TimeUnit.MILLISECONDS)) {
                String value = (sent + " " + padding).trim();
                Integer partition = custom ? null : Integer.valueOf(sent % program.partitionsUsed);
                byte[] key = custom ? Integer.toString(sent).getBytes() : null;
                producer.send(new ProducerRecord<>(program.topic, partition, key, value.getBytes()), (place, error) -> {
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

    static void emitRecord(ConsumerRecord<byte[], byte[]> record) {
        Map<String, String> headers = new HashMap<>();
        record.headers().forEach(header -> headers.put(header.key(), new String(header.value())));
        Program.emit("record", Map.of(
            "topic", record.topic(), "partition", record.partition(), "offset", record.offset(),
            "value", new String(record.value()), "headers", headers));
    }

    private static void read(Program program) throws Exception {
        List<TopicPartition> partitions = program.partitions(program.option("partitions", 1));
        if (program.options.has("only")) {
            List<TopicPartition> only = new ArrayList<>();
            program.options.path("only").forEach(number -> only.add(program.partition(number.asInt())));
            partitions = only;
        }
        List<TopicPartition> wanted = partitions;
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
            consumer.assign(wanted);
            consumer.seekToBeginning(wanted);
            Map<TopicPartition, Long> ends = consumer.endOffsets(wanted);
            while (wanted.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(200)).forEach(Roles::emitRecord);
            }
        }
    }
}
