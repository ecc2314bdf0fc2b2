import java.lang.reflect.Field;
import java.lang.reflect.Method;

/**
 * Prints what the kafka-server-common jar on the class path knows of features: name, greatest level, level of a new
 * cluster, tab-separated. By reflection, because this has changed with the releases.
 */
public class FeatureTable {
    public static void main(String[] arguments) throws Exception {
        Class<?> type = Class.forName("org.apache.kafka.server.common.MetadataVersion");
        Object latest = latest(type);
        short level = (short) type.getMethod("featureLevel").invoke(latest);
        System.out.println("metadata.version\t" + level + "\t" + level);
        Class<?> features;
        try {
            features = Class.forName("org.apache.kafka.server.common.Feature");
        } catch (ClassNotFoundException before40) {
            return;
        }
        for (Object feature : (Iterable<?>) features.getField("PRODUCTION_FEATURES").get(null)) {
            print(features, feature, type, latest);
        }
    }

    private static void print(Class<?> features, Object feature, Class<?> type, Object latest) throws Exception {
        String name = (String) features.getMethod("featureName").invoke(feature);
        short most = (short) features.getMethod("latestProduction").invoke(feature);
        short first = (short) features.getMethod("defaultLevel", type).invoke(feature, latest);
        System.out.println(name + "\t" + most + "\t" + first);
    }

    private static Object latest(Class<?> type) throws Exception {
        for (Field field : type.getFields()) {
            if (field.getName().equals("LATEST_PRODUCTION")) {
                return field.get(null);
            }
        }
        for (Method method : type.getMethods()) {
            if (method.getName().equals("latestProduction") || method.getName().equals("latest")) {
                return method.invoke(null);
            }
        }
        throw new IllegalStateException("no latest version");
    }
}
