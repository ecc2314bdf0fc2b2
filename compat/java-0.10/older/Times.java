// Before 0.10, records had no times.

import org.apache.kafka.clients.consumer.ConsumerRecord;

final class Times {
    private Times() {
    }

    static void check(ConsumerRecord<byte[], byte[]> record, long start) {
    }
}
