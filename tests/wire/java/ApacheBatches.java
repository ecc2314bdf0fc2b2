// Prints ../golden/apache-batches.hex, batches written by Apache's own builder. Run with the jars of a broker:
//   java -cp 'libs/*' ApacheBatches.java > ../golden/apache-batches.hex
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.utils.AppInfoParser;

public class ApacheBatches {
    static final long TIME = 1_700_000_000_000L;

    static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static void print(String name, ByteBuffer batch) {
        byte[] bytes = new byte[batch.remaining()];
        batch.get(bytes);
        System.out.println(name + " " + HexFormat.of().formatHex(bytes));
    }

    static MemoryRecordsBuilder builder(CompressionType codec, TimestampType type, long baseOffset, long pid, boolean transactional) {
        return new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 20), (byte) 2, Compression.of(codec).build(), type, baseOffset,
            type == TimestampType.LOG_APPEND_TIME ? TIME + 99 : -1L, pid, (short) (pid < 0 ? -1 : 3), pid < 0 ? -1 : 40,
            transactional, false, 7, 1 << 20);
    }

    public static void main(String[] args) {
        System.out.println("# Apache Kafka " + AppInfoParser.getVersion() + ", MemoryRecordsBuilder, by tests/wire/java/ApacheBatches.java: name, batch");
        for (CompressionType codec : CompressionType.values()) {
            MemoryRecordsBuilder small = builder(codec, TimestampType.CREATE_TIME, 1234, -1, false);
            small.append(TIME, utf8("key"), utf8("value"));
            small.append(TIME + 70_000, utf8("key"), null, new Header[] {
                new RecordHeader("name", utf8("Żółć")), new RecordHeader("none", null), new RecordHeader("ключ", new byte[0])});
            small.append(TIME - 5, null, utf8(""));
            small.append(TIME + 1, (byte[]) null, null);
            print(codec.name + "-small", small.build().buffer());

            MemoryRecordsBuilder large = builder(codec, TimestampType.CREATE_TIME, 0, 5001, true);
            for (int i = 0; i < 100; i++)
                large.append(TIME + i * 1000, utf8("key-" + i), utf8("x".repeat(i * 20)));
            if (codec != CompressionType.NONE)
                print(codec.name + "-large", large.build().buffer());
        }
        MemoryRecordsBuilder appended = builder(CompressionType.NONE, TimestampType.LOG_APPEND_TIME, 10, 5001, false);
        appended.append(TIME, utf8("a"), utf8("1"));
        appended.append(TIME + 1, utf8("b"), utf8("2"));
        print("log-append-time", appended.build().buffer());
        MemoryRecordsBuilder gaps = builder(CompressionType.NONE, TimestampType.CREATE_TIME, 100, -1, false);
        gaps.appendWithOffset(103, TIME, utf8("a"), utf8("1"));
        gaps.appendWithOffset(350, TIME, utf8("b"), utf8("2"));
        print("compacted", gaps.build().buffer());
        print("commit-marker", MemoryRecords.withEndTransactionMarker(20, TIME, 7, 5001, (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 11)).buffer());
        print("abort-marker", MemoryRecords.withEndTransactionMarker(21, TIME, 7, 5001, (short) 3,
            new EndTransactionMarker(ControlRecordType.ABORT, 11)).buffer());
        ByteBuffer empty = ByteBuffer.allocate(61);
        DefaultRecordBatch.writeEmptyHeader(empty, (byte) 2, 5001, (short) 3, 40, 100, 120, 7, TimestampType.CREATE_TIME, TIME, true, false);
        empty.flip();
        print("compacted-to-nothing", empty);
    }
}
