package main

import (
	"errors"

	"github.com/segmentio/kafka-go"

	job "compat/gojob"
)

func addAdmin(actions map[string]func(*program)) {
	actions["topics"] = topics
	actions["commit-metadata"] = commitMetadata
	actions["admin-groups"] = adminGroups
	actions["consumer-lag"] = consumerLag
}

func topics(p *program) {
	retention := "123456789"
	p.createTopic(3, map[string]*string{"retention.ms": &retention})
	answer, err := p.client.DescribeConfigs(timeout(10), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: p.Topic, ConfigNames: []string{"retention.ms"},
		}},
	})
	job.Must(err)
	job.CheckEqual(answer.Resources[0].ConfigEntries[0].ConfigValue, retention, "retention.ms")
	err = p.tryToCreate(1, nil)
	job.Check(errors.Is(err, kafka.TopicAlreadyExists), "created twice: %v", err)
	p.sendNumbered(5, 1, nil)
	p.deleteTopic()
	p.createTopic(5, nil)
	p.sendNumbered(1, 1, nil)
	p.readFromStart(1, 5)
}

func (p *program) commit(offsets map[int32]int64, metadata string) {
	request := &kafka.OffsetCommitRequest{GroupID: p.Group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{}}
	for partition, offset := range offsets {
		one := kafka.OffsetCommit{Partition: int(partition), Offset: offset, Metadata: metadata}
		request.Topics[p.Topic] = append(request.Topics[p.Topic], one)
	}
	// The coordinator may not be ready yet; trying again is left to the library's users.
	job.Eventually("the offsets are committed", func() bool {
		answer, err := p.client.OffsetCommit(timeout(20), request)
		if err != nil {
			return false
		}
		for _, one := range answer.Topics[p.Topic] {
			if one.Error != nil {
				return false
			}
		}
		return true
	})
}

func (p *program) committed() map[int]kafka.OffsetFetchPartition {
	answer, err := p.client.OffsetFetch(timeout(20), &kafka.OffsetFetchRequest{
		GroupID: p.Group, Topics: map[string][]int{p.Topic: {0, 1, 2}},
	})
	job.Must(err)
	job.Must(answer.Error)
	found := map[int]kafka.OffsetFetchPartition{}
	for _, one := range answer.Topics[p.Topic] {
		found[one.Partition] = one
	}
	return found
}

func commitMetadata(p *program) {
	p.createTopic(3, nil)
	p.sendNumbered(30, 3, nil)
	p.commit(map[int32]int64{0: 7}, "où en étions-nous")
	p.commit(map[int32]int64{1: 3}, "")
	back := p.committed()
	job.CheckEqual(back[0].CommittedOffset, 7, "commit")
	job.CheckEqual(back[0].Metadata, "où en étions-nous", "metadata")
	job.CheckEqual(back[1].CommittedOffset, 3, "commit without metadata")
	job.CheckEqual(back[2].CommittedOffset, -1, "no commit")
	reader := p.groupReader()
	defer reader.Close()
	lowest := map[int]int64{0: 100, 1: 100, 2: 100}
	for range 3 + 7 + 10 {
		message, err := reader.FetchMessage(timeout(30))
		job.Must(err)
		lowest[message.Partition] = min(lowest[message.Partition], message.Offset)
	}
	job.CheckEqual(lowest, map[int]int64{0: 7, 1: 3, 2: 0}, "resumes at the commits")
}

func (p *program) groupReader() *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{p.Bootstrap}, GroupID: p.Group, Topic: p.Topic, MaxWait: milliseconds(500),
	})
}

func adminGroups(p *program) {
	p.createTopic(2, nil)
	p.sendNumbered(10, 2, nil)
	reader := p.groupReader()
	for range 10 {
		message, err := reader.FetchMessage(timeout(30))
		job.Must(err)
		job.Must(reader.CommitMessages(timeout(10), message))
	}
	listed := func() bool {
		answer, err := p.client.ListGroups(timeout(20), &kafka.ListGroupsRequest{})
		job.Must(err)
		job.Must(answer.Error)
		for _, group := range answer.Groups {
			if group.GroupID == p.Group {
				return true
			}
		}
		return false
	}
	described := func() kafka.DescribeGroupsResponseGroup {
		answer, err := p.client.DescribeGroups(timeout(20), &kafka.DescribeGroupsRequest{GroupIDs: []string{p.Group}})
		job.Must(err)
		job.Must(answer.Groups[0].Error)
		return answer.Groups[0]
	}
	job.Check(listed(), "the group is listed")
	group := described()
	job.CheckEqual(group.GroupState, "Stable", "state")
	job.CheckEqual(len(group.Members), 1, "members")
	job.CheckEqual(len(group.Members[0].MemberAssignments.Topics[0].Partitions), 2, "assigned partitions")
	job.Must(reader.Close())
	job.Eventually("its member has left", func() bool { return described().GroupState == "Empty" })
	job.CheckEqual(len(described().Members), 0, "members after its member left")
	answer, err := p.client.DeleteGroups(timeout(20), &kafka.DeleteGroupsRequest{GroupIDs: []string{p.Group}})
	job.Must(err)
	job.Must(answer.Errors[p.Group])
	job.Check(!listed(), "the group is gone")
}

func consumerLag(p *program) {
	p.createTopic(3, nil)
	p.sendNumbered(20, 1, nil)
	p.commit(map[int32]int64{0: 5}, "")
	job.CheckEqual(p.offsets([]int32{0})[0].LastOffset-p.committed()[0].CommittedOffset, 15, "lag")
}
