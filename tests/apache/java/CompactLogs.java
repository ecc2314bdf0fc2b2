import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.log.Cleaner;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.LogToClean;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.SkimpyOffsetMap;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * Apache's own cleaner, without a broker. Each line of standard input, words separated by a tab, is one round:
 * the partition's folder, the time in ms, the first dirty offset, then the topic's settings as NAME=VALUE.
 * Answers with the offset up to which the log is clean.
 */
public class CompactLogs {
    static long now;

    static class FixedTime implements Time {
        public long milliseconds() { return now; }
        public long nanoseconds() { return now * 1000000; }
        public void sleep(long ms) { }
        public void waitObject(Object object, Supplier<Boolean> condition, long deadline) { }
    }

    /** Files that were given up stay, so that they can be looked at. */
    static class Never implements Scheduler {
        private final ScheduledExecutorService pool = Executors.newScheduledThreadPool(0);
        public void startup() { }
        public void shutdown() { }
        public ScheduledFuture<?> schedule(String name, Runnable task, long delay, long period) {
            return pool.schedule(() -> { }, 1, TimeUnit.DAYS);
        }
        public void resizeThreadPool(int size) { }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            now = Long.parseLong(words[1]);
            Map<String, String> settings = new HashMap<>();
            for (int index = 3; index < words.length; index++) {
                settings.put(words[index].split("=", 2)[0], words[index].split("=", 2)[1]);
            }
            System.out.println(compact(new File(words[0]), Long.parseLong(words[2]), new LogConfig(settings)));
            System.out.flush();
        }
        System.exit(0);
    }

    static long compact(File folder, long firstDirtyOffset, LogConfig config) throws Exception {
        Time time = new FixedTime();
        UnifiedLog log = UnifiedLog.create(
            folder, config, 0, Long.MAX_VALUE, new Never(), new BrokerTopicStats(), time, Integer.MAX_VALUE,
            new ProducerStateManagerConfig(Integer.MAX_VALUE, false), Integer.MAX_VALUE, new LogDirFailureChannel(1),
            true, Optional.empty());
        log.updateHighWatermark(log.logEndOffset());
        long firstUncleanable = Math.min(log.lastStableOffset(), log.activeSegment().baseOffset());
        Cleaner cleaner = new Cleaner(
            0, new SkimpyOffsetMap(24 * 100000), 1 << 20, 1 << 20, 0.9,
            new Throttler(Double.MAX_VALUE, 1000, "bytes", "bytes", time), time, partition -> { });
        LogToClean part = new LogToClean(log, firstDirtyOffset, firstUncleanable, false);
        long cleanedTo = cleaner.doClean(part, now).getKey();
        log.close();
        return cleanedTo;
    }
}
