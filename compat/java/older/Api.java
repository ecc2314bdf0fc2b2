// What the client's public interface calls differently in different versions; here as from 2.8 to 3.9.

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListConsumerGroupsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.TopicPartition;

final class Api {
    private Api() {
    }

    static TopicDescription describe(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).values().get(topic).get();
    }

    /** The groups there are, or those in one state. */
    static Set<String> groups(Admin admin, String state) throws Exception {
        ListConsumerGroupsOptions options = new ListConsumerGroupsOptions();
        if (state != null) {
            options.inStates(Set.of(ConsumerGroupState.parse(state)));
        }
        Set<String> groups = new HashSet<>();
        admin.listConsumerGroups(options).all().get().forEach(group -> groups.add(group.groupId()));
        return groups;
    }

    static String state(ConsumerGroupDescription group) {
        return group.state().toString();
    }

    /** The offset of the newest record; 2.8 cannot ask for that with the highest timestamp. */
    static long newest(Admin admin, TopicPartition partition) throws Exception {
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get().get(partition).offset() - 1;
    }
}
