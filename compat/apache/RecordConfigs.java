// Asks a running Apache broker, and the classes it is made of, which settings exist: facts only, as one JSON document.
//
//   java -cp 'LIBS/*' compat/apache/RecordConfigs.java HOST:PORT > tests/broker/settings/apache_configs.json
//
// LIBS holds Apache's jars. The broker is stock: nothing is set but its roles, listeners and folder.

import java.util.*;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.storage.internals.log.LogConfig;

public class RecordConfigs {
    static final String TOPIC = "record-configs";

    public static void main(String[] arguments) throws Exception {
        var facts = new LinkedHashMap<String, Object>();
        var broker = kafka.server.KafkaConfig.configDef().configKeys();
        var topic = LogConfig.configKeys();
        try (var admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            facts.put("kafka", org.apache.kafka.common.utils.AppInfoParser.getVersion());
            admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 1))).all().get();
            var node = admin.describeCluster().nodes().get().iterator().next().idString();
            facts.put("broker", described(admin, new ConfigResource(ConfigResource.Type.BROKER, node)));
            facts.put("topic", described(admin, new ConfigResource(ConfigResource.Type.TOPIC, TOPIC)));
            admin.deleteTopics(List.of(TOPIC)).all().get();
        }
        facts.put("broker_definitions", definitions(broker));
        facts.put("topic_definitions", definitions(topic));
        facts.put("group_definitions", definitions(GroupConfig.CONFIG_DEF.configKeys()));
        facts.put("broker_values", values(broker, RecordConfigs::brokerAccepts));
        facts.put("topic_values", values(topic, RecordConfigs::topicAccepts));
        facts.put("topic_combinations", combinations());
        var mapper = new ObjectMapper().enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS);
        System.out.println(lines(mapper, facts));
    }

    /** What DescribeConfigs answers: [type, value, source, read only, sensitive, [[synonym, value, source]...]]. */
    static Map<String, Object> described(Admin admin, ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true);
        var entries = admin.describeConfigs(List.of(resource), options).all().get().get(resource).entries();
        var rows = new TreeMap<String, Object>();
        for (var entry : entries) {
            var synonyms = new ArrayList<Object>();
            for (var synonym : entry.synonyms())
                synonyms.add(Arrays.asList(synonym.name(), synonym.value(), synonym.source().name()));
            rows.put(entry.name(), Arrays.asList(entry.type().name(), entry.value(), entry.source().name(),
                entry.isReadOnly(), entry.isSensitive(), synonyms));
        }
        return rows;
    }

    /** [type, default as text, whether it is hidden from DescribeConfigs]. */
    static Map<String, Object> definitions(Map<String, ConfigDef.ConfigKey> keys) {
        var rows = new TreeMap<String, Object>();
        for (var key : keys.values()) {
            var value = key.defaultValue == ConfigDef.NO_DEFAULT_VALUE ? null : key.defaultValue;
            rows.put(key.name, Arrays.asList(key.type.name(), ConfigDef.convertToString(value, key.type), key.internalConfig));
        }
        return rows;
    }

    interface Check { void accept(ConfigDef.ConfigKey key, String value); }

    static void brokerAccepts(ConfigDef.ConfigKey key, String value) {
        read(key, value);
    }

    static Object read(ConfigDef.ConfigKey key, String value) {
        return new ConfigDef().define(key).parse(Map.of(key.name, value)).get(key.name);
    }

    static void topicAccepts(ConfigDef.ConfigKey key, String value) {
        validate(Map.of(key.name, value));
    }

    /** As a broker without tiered storage decides about a topic's settings. */
    static void validate(Map<String, String> settings) {
        var broker = new kafka.server.KafkaConfig(Map.of(
            "process.roles", "broker,controller", "node.id", "1", "controller.quorum.voters", "1@localhost:9093",
            "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093", "controller.listener.names", "CONTROLLER"), false);
        LogConfig.validate(Map.of(), settings, broker.extractLogConfigMap(), false);
    }

    /** Settings that are right alone and may be wrong together: [settings, whether they are taken]. */
    static List<Object> combinations() {
        var rows = new ArrayList<Object>();
        for (var settings : List.of(
                Map.of("min.compaction.lag.ms", "10", "max.compaction.lag.ms", "9"),
                Map.of("min.compaction.lag.ms", "10", "max.compaction.lag.ms", "10"),
                Map.of("retention.ms", "10", "local.retention.ms", "11"),
                Map.of("retention.bytes", "10", "local.retention.bytes", "11"),
                Map.of("segment.ms", "10", "segment.jitter.ms", "11"),
                Map.of("segment.bytes", "1048576", "max.message.bytes", "2000000"),
                Map.of("remote.storage.enable", "true", "cleanup.policy", "compact"),
                Map.of("remote.storage.enable", "false", "remote.log.copy.disable", "true"),
                Map.of("remote.log.copy.disable", "true", "local.retention.ms", "1"),
                Map.of("cleanup.policy", "compact", "no.such.setting", "1"),
                Map.<String, String>of())) {
            boolean taken = true;
            try {
                validate(settings);
            } catch (ConfigException | InvalidConfigurationException refused) {
                taken = false;
            }
            rows.add(Arrays.asList(new TreeMap<>(settings), taken));
        }
        return rows;
    }

    /** For values around every edge: what an accepted one is read as, or null where it is refused. */
    static Map<String, Object> values(Map<String, ConfigDef.ConfigKey> keys, Check check) {
        var rows = new TreeMap<String, Object>();
        for (var key : keys.values()) {
            var answers = new LinkedHashMap<String, String>();
            for (var value : candidates(key)) {
                try {
                    check.accept(key, value);
                    answers.put(value, ConfigDef.convertToString(read(key, value), key.type));
                } catch (ConfigException | InvalidConfigurationException refused) {
                    answers.put(value, null);
                }
            }
            rows.put(key.name, answers);
        }
        return rows;
    }

    static Set<String> candidates(ConfigDef.ConfigKey key) {
        var values = new LinkedHashSet<String>();
        switch (key.type) {
            case BOOLEAN -> values.addAll(List.of("true", "TRUE", " false ", "yes", "1", ""));
            case INT, LONG, SHORT -> {
                values.addAll(List.of("abc", "", " 7 ", "+7", "-7", "1.5", "0x10", "1_000", "-2", "-1", "0", "1", "2", "10"));
                for (var power : List.of(15, 31, 63)) {
                    var edge = java.math.BigInteger.ONE.shiftLeft(power);
                    values.addAll(List.of(edge.toString(), edge.subtract(java.math.BigInteger.ONE).toString(), edge.negate().toString()));
                }
                var numbers = java.util.regex.Pattern.compile("-?\\d+").matcher(String.valueOf(key.validator));
                while (numbers.find()) {
                    var edge = Long.parseLong(numbers.group());
                    for (var near : List.of(edge - 1, edge, edge + 1)) values.add(Long.toString(near));
                }
            }
            case DOUBLE -> values.addAll(List.of("0", "0.5", "1", "1.01", "-0.1", "1e-1", "NaN", "half", "", " 0.25 ", ".5", "1_0"));
            case LIST -> {
                values.addAll(List.of("", "a", "a,b", "a, b", "a,a", ",", "a,,b", "*", "0:1", "0:1,1:2", "0:a", "*,0:1", "none"));
                values.addAll(words(key));
            }
            case STRING -> {
                values.addAll(List.of("", "other", " other "));
                values.addAll(words(key));
            }
            default -> { }
        }
        return values;
    }

    /** The words a validator names, alone, in the other case, and in pairs. */
    static List<String> words(ConfigDef.ConfigKey key) {
        var named = String.valueOf(key.validator);
        if (!named.contains("[") || named.contains("partitionId")) return List.of();
        var words = new ArrayList<String>();
        var all = named.substring(named.indexOf('[') + 1, named.indexOf(']')).split(", ");
        for (var word : all) words.addAll(List.of(word, " " + word + " ", word.toUpperCase(), word.toLowerCase()));
        words.add(all[0] + "," + all[all.length - 1]);
        words.add(all[0] + " , " + all[all.length - 1]);
        words.add(all[0] + "," + all[0]);
        return words;
    }

    /** One line for each setting, so that a difference reads well. */
    static String lines(ObjectMapper mapper, Map<String, Object> facts) throws Exception {
        var sections = new ArrayList<String>();
        for (var section : facts.entrySet()) {
            var name = mapper.writeValueAsString(section.getKey());
            if (!(section.getValue() instanceof Map<?, ?> rows)) {
                sections.add(name + ": " + mapper.writeValueAsString(section.getValue()));
                continue;
            }
            var body = new ArrayList<String>();
            for (var row : rows.entrySet())
                body.add("  " + mapper.writeValueAsString(row.getKey()) + ": " + mapper.writeValueAsString(row.getValue()));
            sections.add(name + ": {\n" + String.join(",\n", body) + "\n}");
        }
        return "{\n" + String.join(",\n", sections) + "\n}";
    }
}
