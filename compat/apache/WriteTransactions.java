// Writes a topic full of transactions: ended, aborted, interleaved, over many segments, and one that stays open.
//
//   java -cp 'LIBS/*' compat/apache/WriteTransactions.java HOST:PORT TOPIC
//
// LIBS holds Apache's jars. Used by compat/record_transactions.

import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.StringSerializer;

public class WriteTransactions {
    static String bootstrap;
    static String topic;
    static int written;

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        topic = arguments[1];
        try (var admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var configs = Map.of("internal.segment.bytes", "4096", "index.interval.bytes", "500");
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(configs))).all().get();
        }
        var early = producer("early");
        var first = producer("first");
        var second = producer("second");
        var plain = producer(null);
        // One after the other, with records between them that belong to no transaction.
        for (int round = 0; round < 4; round++) {
            first.beginTransaction();
            write(first, 2 + round);
            if (round % 2 == 0) first.commitTransaction(); else first.abortTransaction();
            write(plain, 1);
        }
        // One that begins here and is aborted some segments later.
        early.beginTransaction();
        write(early, 1);
        for (int round = 0; round < 12; round++) {
            first.beginTransaction();
            write(first, 2);
            second.beginTransaction();
            write(second, 3);
            write(first, 1);
            write(plain, round % 3);
            if (round % 3 == 0) first.abortTransaction(); else first.commitTransaction();
            write(second, 1);
            if (round % 4 == 1) second.abortTransaction(); else second.commitTransaction();
        }
        write(early, 1);
        early.abortTransaction();
        // Another one over segments, committed this time, with aborted ones inside.
        early.beginTransaction();
        write(early, 1);
        for (int round = 0; round < 9; round++) {
            second.beginTransaction();
            write(second, 2 + round % 2);
            if (round % 2 == 0) second.abortTransaction(); else second.commitTransaction();
            write(plain, 1);
        }
        early.commitTransaction();
        // An empty one, which writes nothing anywhere, and one that nobody ends.
        first.beginTransaction();
        first.commitTransaction();
        first.beginTransaction();
        write(first, 3);
        second.beginTransaction();
        write(second, 2);
        second.abortTransaction();
        write(plain, 2);
        Runtime.getRuntime().halt(0);
    }

    static KafkaProducer<String, String> producer(String transactionalId) {
        var settings = new HashMap<String, Object>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("enable.idempotence", true);
        settings.put("transaction.timeout.ms", 600000);
        if (transactionalId != null) settings.put("transactional.id", transactionalId);
        var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        if (transactionalId != null) producer.initTransactions();
        return producer;
    }

    /** One batch of so many records. */
    static void write(KafkaProducer<String, String> producer, int count) {
        for (int record = 0; record < count; record++)
            producer.send(new ProducerRecord<>(topic, "key-" + written % 7, "value " + written++ + " ".repeat(written * 37 % 120)));
        producer.flush();
    }
}
