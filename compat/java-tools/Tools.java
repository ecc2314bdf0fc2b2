// Runs Kafka's console tools one after another in one JVM, each by its own main and with its own three streams, as a
// shell would: a tool costs a fraction of the second that a JVM takes to start. A line of JSON in, a line of JSON out.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

final class Tools {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Unwinds a tool that has called exit. An Error, since tools report exceptions of their own. */
    private static final class Ended extends Error {
        private Ended() {
            super("the tool has ended", null, false, false);
        }
    }

    /** What one tool printed until it ended; later words of its unwinding do not count. */
    private static final class Run {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        final ByteArrayOutputStream err = new ByteArrayOutputStream();
        private Integer status;
        private String printed;
        private String complained;
        /** What is done when a JVM ends; some tools close their clients only then, and print what came of it. */
        final List<Runnable> hooks = new ArrayList<>();

        synchronized void end(int code) {
            if (status == null) {
                status = code;
                printed = out.toString(StandardCharsets.UTF_8);
                complained = err.toString(StandardCharsets.UTF_8);
            }
        }

        void close() {
            out.reset();
            err.reset();
            hooks.forEach(Runnable::run);
            printed += out.toString(StandardCharsets.UTF_8);
            complained += err.toString(StandardCharsets.UTF_8);
        }
    }

    private static Run current;

    private static Run run(String tool, List<String> words, String given) throws Exception {
        Run run = new Run();
        current = run;
        System.setIn(new ByteArrayInputStream(given.getBytes(StandardCharsets.UTF_8)));
        System.setOut(new PrintStream(run.out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(run.err, true, StandardCharsets.UTF_8));
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) words.toArray(new String[0]));
        } catch (InvocationTargetException failure) {
            if (!(failure.getCause() instanceof Ended)) {
                failure.getCause().printStackTrace();
                run.end(1);
            }
        }
        run.end(0);
        run.close();
        return run;
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        Exit.setExitProcedure((code, message) -> {
            current.end(code);
            throw new Ended();
        });
        Exit.setShutdownHookAdder((name, hook) -> current.hooks.add(hook));
        Exit.setHaltProcedure((code, message) -> {
            current.end(code);
            throw new Ended();
        });
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            JsonNode request = JSON.readTree(line);
            List<String> words = new ArrayList<>();
            request.path("words").forEach(word -> words.add(word.asText()));
            Run run = run(request.path("tool").asText(), words, request.path("given").asText(""));
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("code", run.status);
            answer.put("out", run.printed);
            answer.put("err", run.complained);
            answers.println(JSON.writeValueAsString(answer));
        }
        Runtime.getRuntime().halt(0);
    }
}
