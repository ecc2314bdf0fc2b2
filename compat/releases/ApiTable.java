import java.lang.reflect.Method;
import java.util.Arrays;

/**
 * Prints what the kafka-clients jar on the class path knows of the APIs: key, name, first and last stable version, and
 * who serves it (zkBroker, broker), tab-separated. By reflection, because this has changed with the releases.
 */
public class ApiTable {
    public static void main(String[] arguments) throws Exception {
        Class<?> keys = Class.forName("org.apache.kafka.common.protocol.ApiKeys");
        for (Object api : keys.getEnumConstants()) {
            short id = ((Number) keys.getField("id").get(api)).shortValue();
            String name = (String) keys.getField("name").get(api);
            short[] versions = versions(keys, api, id);
            System.out.println(id + "\t" + name + "\t" + versions[0] + "\t" + versions[1] + "\t" + listeners(keys, api));
        }
    }

    private static short[] versions(Class<?> keys, Object api, short id) throws Exception {
        for (Method method : keys.getMethods()) {
            if (method.getName().equals("toApiVersion") && method.getParameterCount() == 1) {
                Object found = ((java.util.Optional<?>) method.invoke(api, false)).orElse(null);
                return found == null ? new short[] {0, -1} : range(found);
            }
        }
        if (has(keys, "oldestVersion")) {
            return new short[] {(short) keys.getMethod("oldestVersion").invoke(api),
                (short) keys.getMethod("latestVersion").invoke(api)};
        }
        try {
            Class<?> later = Class.forName("org.apache.kafka.common.protocol.ProtoUtils");
            return new short[] {(short) later.getMethod("oldestVersion", int.class).invoke(null, (int) id),
                (short) later.getMethod("latestVersion", int.class).invoke(null, (int) id)};
        } catch (ReflectiveOperationException before) {
            // then there are arrays
        }
        Class<?> protocol = Class.forName("org.apache.kafka.common.protocol.Protocol");
        short last = ((short[]) protocol.getField("CURR_VERSION").get(null))[id];
        Object[] schemas = ((Object[][]) protocol.getField("REQUESTS").get(null))[id];
        short first = 0;
        while (schemas[first] == null) {
            first++;
        }
        return new short[] {first, last};
    }

    private static short[] range(Object found) throws Exception {
        Class<?> type = found.getClass();
        return new short[] {(short) type.getMethod("minVersion").invoke(found),
            (short) type.getMethod("maxVersion").invoke(found)};
    }

    private static String listeners(Class<?> keys, Object api) throws Exception {
        Class<?> type;
        try {
            type = Class.forName("org.apache.kafka.common.message.ApiMessageType$ListenerType");
        } catch (ClassNotFoundException before28) {
            return "zkBroker,broker";
        }
        StringBuilder found = new StringBuilder();
        for (Object listener : type.getEnumConstants()) {
            if ((boolean) keys.getMethod("inScope", type).invoke(api, listener)) {
                found.append(found.length() > 0 ? "," : "").append(listener);
            }
        }
        return found.toString().replace("ZK_BROKER", "zkBroker").replace("BROKER", "broker");
    }

    private static boolean has(Class<?> type, String method) {
        return Arrays.stream(type.getMethods()).anyMatch(each -> each.getName().equals(method));
    }
}
