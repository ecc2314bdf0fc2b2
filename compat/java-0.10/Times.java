// Records have had times since 0.10.

import org.apache.kafka.clients.consumer.ConsumerRecord;

final class Times {
    private Times() {
    }

    /** Fails for a record whose time is not between `start`, in ms, and now. */
    static void check(ConsumerRecord<byte[], byte[]> record, long start) {
        long time = record.timestamp();
        Program.check(start <= time && time <= System.currentTimeMillis(), "the time of " + record + " is not of this run");
    }
}
