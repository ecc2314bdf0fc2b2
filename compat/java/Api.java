// What the client's public interface calls differently in different versions; here as in 4.x.

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

final class Api {
    private Api() {
    }

    static TopicDescription describe(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    /** The groups there are, or those in one state. */
    static Set<String> groups(Admin admin, String state) throws Exception {
        ListGroupsOptions options = new ListGroupsOptions();
        if (state != null) {
            options.inGroupStates(Set.of(GroupState.parse(state)));
        }
        Set<String> groups = new HashSet<>();
        admin.listGroups(options).all().get().forEach(group -> groups.add(group.groupId()));
        return groups;
    }

    static String state(ConsumerGroupDescription group) {
        return group.groupState().toString();
    }

    /** The offset of the record with the highest timestamp. */
    static long newest(Admin admin, TopicPartition partition) throws Exception {
        return admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all().get().get(partition).offset();
    }
}
