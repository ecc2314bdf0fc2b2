// Topics, groups, offsets and records through the Java admin client.

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;

final class Admins {
    private Admins() {
    }

    static void list(Map<String, Program.Action> actions) {
        actions.put("topics", Admins::topics);
        actions.put("commit-metadata", Admins::commitMetadata);
        actions.put("admin-groups", Admins::adminGroups);
        actions.put("consumer-lag", Admins::consumerLag);
        actions.put("delete-records", Admins::deleteRecords);
    }

    private static void topics(Program program) throws Exception {
        String topic = program.topic;
        program.createTopic(3, Map.of("retention.ms", "123456789"));
        try (Admin admin = program.admin()) {
            Program.check(admin.listTopics().names().get().contains(topic), "the topic is listed");
            TopicDescription described = Api.describe(admin, topic);
            Program.checkEqual(described.partitions().size(), 3, "partitions");
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            String retention = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
            Program.checkEqual(retention, "123456789", "retention.ms");
            try {
                admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
                throw new AssertionError("created twice");
            } catch (ExecutionException error) {
                Program.checkEqual(error.getCause().getClass(), TopicExistsException.class, "error");
            }
            program.sendNumbered(5, 1);
            admin.deleteTopics(List.of(topic)).all().get();
            Program.eventually(() -> !admin.listTopics().names().get().contains(topic), "the topic is gone");
            Program.eventually(() -> {
                program.createTopic(5, Map.of());
                return true;
            }, "the topic is created again");
            described = Api.describe(admin, topic);
            Program.checkEqual(described.partitions().size(), 5, "partitions");
        }
        program.sendNumbered(1, 1);
        program.readFromStart(1, 5);
    }

    private static void commitMetadata(Program program) throws Exception {
        program.createTopic(3, Map.of());
        program.sendNumbered(30, 3);
        TopicPartition first = program.partition(0);
        TopicPartition second = program.partition(1);
        TopicPartition third = program.partition(2);
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
            consumer.assign(List.of(first, second, third));
            consumer.commitSync(Map.of(
                first, new OffsetAndMetadata(7, "où en étions-nous"), second, new OffsetAndMetadata(3)));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
            Map<TopicPartition, OffsetAndMetadata> back = consumer.committed(Set.of(first, second, third));
            Program.checkEqual(back.get(first), new OffsetAndMetadata(7, "où en étions-nous"), "commit");
            Program.checkEqual(back.get(second), new OffsetAndMetadata(3), "commit without metadata");
            Program.checkEqual(back.get(third), null, "no commit");
            consumer.assign(List.of(first));
            Program.checkEqual(Program.pollUntil(consumer, 1).get(0).offset(), 7L, "resumes at the commit");
        }
    }

    private static ConsumerGroupDescription described(Admin admin, String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    private static void adminGroups(Program program) throws Exception {
        program.createTopic(2, Map.of());
        program.sendNumbered(10, 2);
        String group = program.group;
        try (Admin admin = program.admin()) {
            try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
                consumer.subscribe(List.of(program.topic));
                Program.pollUntil(consumer, 10);
                consumer.commitSync();
                Program.check(Api.groups(admin, null).contains(group), "the group is listed");
                ConsumerGroupDescription running = described(admin, group);
                Program.checkEqual(Api.state(running), "Stable", "state");
                Program.checkEqual(running.members().size(), 1, "members");
                Program.checkEqual(
                    running.members().iterator().next().assignment().topicPartitions(),
                    new HashSet<>(program.partitions(2)), "assignment");
            }
            ConsumerGroupDescription empty = described(admin, group);
            Program.checkEqual(Api.state(empty), "Empty", "state after its member left");
            Program.checkEqual(empty.members().size(), 0, "members after its member left");
            Program.check(Api.groups(admin, "Empty").contains(group), "listed among the empty ones");
            Program.check(!Api.groups(admin, "Stable").contains(group), "not listed among the stable ones");
            admin.deleteConsumerGroups(List.of(group)).all().get();
            Program.check(!Api.groups(admin, null).contains(group), "the group is gone");
        }
    }

    private static void consumerLag(Program program) throws Exception {
        program.createTopic(1, Map.of());
        program.sendNumbered(20, 1);
        TopicPartition partition = program.partition(0);
        try (KafkaConsumer<byte[], byte[]> consumer = program.consumer()) {
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(5)));
        }
        try (Admin admin = program.admin()) {
            long committed = admin.listConsumerGroupOffsets(program.group).partitionsToOffsetAndMetadata().get()
                .get(partition).offset();
            long end = admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get().get(partition).offset();
            Program.checkEqual(end - committed, 15L, "lag");
            long newest = Api.newest(admin, partition);
            Program.check(newest >= 0 && newest < 20, "offset of the newest timestamp: " + newest);
        }
    }

    private static void deleteRecords(Program program) throws Exception {
        program.createTopic(1, Map.of());
        program.sendNumbered(20, 1);
        TopicPartition partition = program.partition(0);
        try (Admin admin = program.admin()) {
            long low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(10))).lowWatermarks()
                .get(partition).get().lowWatermark();
            Program.checkEqual(low, 10L, "low watermark");
            long first = admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).all().get().get(partition).offset();
            Program.checkEqual(first, 10L, "first offset");
        }
        Program.checkEqual(program.readFromStart(10, 1).get(0).offset(), 10L, "first offset read");
    }
}
