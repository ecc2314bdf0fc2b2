// Spring's listener containers and templates, without the rest of Spring.

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.BatchAcknowledgingMessageListener;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.listener.MessageListener;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.util.backoff.FixedBackOff;

final class Actions {
    private Actions() {
    }

    static void list(Map<String, Program.Action> actions) {
        actions.put("listener-container", Actions::listenerContainer);
        actions.put("retry-and-dead-letter", Actions::retryAndDeadLetter);
        actions.put("batch-listener", Actions::batchListener);
        actions.put("pause-container", Actions::pauseContainer);
        actions.put("request-reply", Actions::requestReply);
    }

    private static void createTopic(Program program, String name, int partitions) throws Exception {
        try (Admin admin = program.admin()) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
        }
    }

    private static KafkaTemplate<String, String> template(Program program) {
        return new KafkaTemplate<>(
            new DefaultKafkaProducerFactory<>(program.with(), new StringSerializer(), new StringSerializer()));
    }

    private static ConcurrentMessageListenerContainer<String, String> container(
            Program program, String topic, String group, Object listener) {
        ContainerProperties properties = new ContainerProperties(topic);
        properties.setGroupId(group);
        properties.setMessageListener(listener);
        properties.setPollTimeout(200);
        Map<String, Object> settings = program.with(
            "auto.offset.reset", "earliest", "session.timeout.ms", 6000, "heartbeat.interval.ms", 500);
        return new ConcurrentMessageListenerContainer<>(
            new DefaultKafkaConsumerFactory<>(settings, new StringDeserializer(), new StringDeserializer()), properties);
    }

    private static void send(KafkaTemplate<String, String> template, String topic, int first, int count) throws Exception {
        for (int number = first; number < first + count; number++) {
            template.send(topic, Integer.toString(number), Integer.toString(number)).get(30, TimeUnit.SECONDS);
        }
    }

    private static void listenerContainer(Program program) throws Exception {
        createTopic(program, program.topic, 6);
        KafkaTemplate<String, String> template = template(program);
        send(template, program.topic, 0, 60);
        Map<Integer, Set<String>> threads = new ConcurrentHashMap<>();
        ConcurrentLinkedQueue<String> values = new ConcurrentLinkedQueue<>();
        MessageListener<String, String> listener = record -> {
            threads.computeIfAbsent(record.partition(), key -> ConcurrentHashMap.newKeySet())
                .add(Thread.currentThread().getName());
            values.add(record.value());
        };
        ConcurrentMessageListenerContainer<String, String> first = container(program, program.topic, program.group, listener);
        first.setConcurrency(3);
        first.start();
        Program.eventually(() -> first.getAssignedPartitions().size() == 6, "the container has all partitions");
        Program.eventually(() -> new HashSet<>(values).size() == 60, "all records arrive");
        send(template, program.topic, 60, 60);
        Program.eventually(() -> new HashSet<>(values).size() == 120, "more records arrive");
        first.stop();
        values.clear();
        send(template, program.topic, 120, 30);
        ConcurrentMessageListenerContainer<String, String> second = container(program, program.topic, program.group, listener);
        second.start();
        Program.eventually(() -> values.size() >= 30, "the second container goes on");
        second.stop();
        Program.checkEqual(values.size(), 30, "records after the commits");
        template.destroy();
    }

    private static void retryAndDeadLetter(Program program) throws Exception {
        createTopic(program, program.topic, 1);
        createTopic(program, program.topic + "-dlt", 1);
        KafkaTemplate<String, String> template = template(program);
        AtomicInteger attempts = new AtomicInteger();
        ConcurrentLinkedQueue<String> taken = new ConcurrentLinkedQueue<>();
        MessageListener<String, String> listener = record -> {
            if (record.value().equals("5")) {
                attempts.incrementAndGet();
                throw new IllegalStateException("poison");
            }
            taken.add(record.value());
        };
        ConcurrentMessageListenerContainer<String, String> container =
            container(program, program.topic, program.group, listener);
        DeadLetterPublishingRecoverer recoverer = new DeadLetterPublishingRecoverer(
            template, (record, error) -> new TopicPartition(record.topic() + "-dlt", 0));
        container.setCommonErrorHandler(new DefaultErrorHandler(recoverer, new FixedBackOff(100, 2)));
        ConcurrentLinkedQueue<ConsumerRecord<String, String>> letters = new ConcurrentLinkedQueue<>();
        MessageListener<String, String> collector = letters::add;
        ConcurrentMessageListenerContainer<String, String> dead =
            container(program, program.topic + "-dlt", program.group + "-dlt", collector);
        container.start();
        dead.start();
        send(template, program.topic, 0, 10);
        Program.eventually(() -> taken.size() == 9 && letters.size() == 1, "nine are taken and one is a dead letter");
        Program.checkEqual(attempts.get(), 3, "attempts");
        ConsumerRecord<String, String> letter = letters.peek();
        Program.checkEqual(letter.value(), "5", "dead letter");
        Program.checkEqual(
            new String(letter.headers().lastHeader(KafkaHeaders.DLT_ORIGINAL_TOPIC).value()), program.topic, "origin");
        long offset = ByteBuffer.wrap(letter.headers().lastHeader(KafkaHeaders.DLT_ORIGINAL_OFFSET).value()).getLong();
        Program.checkEqual(offset, 5L, "original offset");
        container.stop();
        dead.stop();
        template.destroy();
    }

    private static void batchListener(Program program) throws Exception {
        createTopic(program, program.topic, 2);
        KafkaTemplate<String, String> template = template(program);
        send(template, program.topic, 0, 100);
        List<Integer> sizes = new ArrayList<>();
        AtomicInteger count = new AtomicInteger();
        BatchAcknowledgingMessageListener<String, String> listener = (records, acknowledgment) -> {
            sizes.add(records.size());
            count.addAndGet(records.size());
            acknowledgment.acknowledge();
        };
        ConcurrentMessageListenerContainer<String, String> container =
            container(program, program.topic, program.group, listener);
        container.getContainerProperties().setAckMode(ContainerProperties.AckMode.MANUAL_IMMEDIATE);
        container.start();
        Program.eventually(() -> count.get() == 100, "all records arrive");
        container.stop();
        Program.check(sizes.size() < 100, "the records came in batches: " + sizes);
        try (Admin admin = program.admin()) {
            long committed = admin.listConsumerGroupOffsets(program.group).partitionsToOffsetAndMetadata().get().values()
                .stream().mapToLong(offset -> offset.offset()).sum();
            Program.checkEqual(committed, 100L, "committed offsets");
        }
        template.destroy();
    }

    private static void pauseContainer(Program program) throws Exception {
        createTopic(program, program.topic, 1);
        KafkaTemplate<String, String> template = template(program);
        AtomicInteger count = new AtomicInteger();
        MessageListener<String, String> listener = record -> count.incrementAndGet();
        ConcurrentMessageListenerContainer<String, String> container =
            container(program, program.topic, program.group, listener);
        container.start();
        send(template, program.topic, 0, 10);
        Program.eventually(() -> count.get() == 10, "ten records arrive");
        container.pause();
        Program.eventually(container::isContainerPaused, "the container is paused");
        send(template, program.topic, 10, 10);
        Thread.sleep(8000); // longer than its session
        Program.checkEqual(count.get(), 10, "records while it was paused");
        Program.checkEqual(container.getAssignedPartitions().size(), 1, "partitions while it was paused");
        container.resume();
        Program.eventually(() -> count.get() == 20, "the others arrive");
        container.stop();
        template.destroy();
    }

    private static void requestReply(Program program) throws Exception {
        String replies = program.topic + "-replies";
        createTopic(program, program.topic, 1);
        createTopic(program, replies, 1);
        KafkaTemplate<String, String> answering = template(program);
        MessageListener<String, String> server = record -> {
            ProducerRecord<String, String> reply = new ProducerRecord<>(replies, record.value().toUpperCase());
            reply.headers().add(record.headers().lastHeader(KafkaHeaders.CORRELATION_ID));
            answering.send(reply);
        };
        ConcurrentMessageListenerContainer<String, String> requests =
            container(program, program.topic, program.group, server);
        requests.start();
        ConcurrentMessageListenerContainer<String, String> answers =
            container(program, replies, program.group + "-replies", null);
        ReplyingKafkaTemplate<String, String, String> template = new ReplyingKafkaTemplate<>(
            new DefaultKafkaProducerFactory<>(program.with(), new StringSerializer(), new StringSerializer()), answers);
        template.setDefaultReplyTimeout(Duration.ofSeconds(30));
        template.start();
        Program.check(template.waitForAssignment(Duration.ofSeconds(30)), "the reply container has its partition");
        for (String word : List.of("one", "two", "three")) {
            ConsumerRecord<String, String> reply =
                template.sendAndReceive(new ProducerRecord<>(program.topic, word)).get(30, TimeUnit.SECONDS);
            Program.checkEqual(reply.value(), word.toUpperCase(), "reply");
        }
        template.stop();
        requests.stop();
        answering.destroy();
    }
}
