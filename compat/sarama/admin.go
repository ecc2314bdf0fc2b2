package main

import (
	"errors"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

func addAdmin(actions map[string]func(*program)) {
	actions["topics"] = topics
	actions["commit-metadata"] = commitMetadata
	actions["admin-groups"] = adminGroups
	actions["consumer-lag"] = consumerLag
	actions["delete-records"] = deleteRecords
}

func topics(p *program) {
	admin := p.admin()
	defer admin.Close()
	retention := "123456789"
	p.createTopic(3, map[string]*string{"retention.ms": &retention})
	listed, err := admin.ListTopics()
	job.Must(err)
	job.CheckEqual(listed[p.Topic].NumPartitions, 3, "partitions")
	configs, err := admin.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: p.Topic, ConfigNames: []string{"retention.ms"},
	})
	job.Must(err)
	job.CheckEqual(configs[0].Value, retention, "retention.ms")
	err = admin.CreateTopic(p.Topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
	var refused *sarama.TopicError
	job.Check(errors.As(err, &refused) && refused.Err == sarama.ErrTopicAlreadyExists, "created twice: %v", err)
	p.sendNumbered(5, 1, nil)
	p.deleteTopic()
	p.createTopic(5, nil)
	p.sendNumbered(1, 1, nil)
	p.readFromStart(1, 5)
}

// commit sets the group's offsets, which nobody else uses meanwhile.
func (p *program) commit(offsets map[int32]int64, metadata string) {
	client := p.client(p.config())
	defer client.Close()
	manager, err := sarama.NewOffsetManagerFromClient(p.Group, client)
	job.Must(err)
	for partition, offset := range offsets {
		var one sarama.PartitionOffsetManager
		// A coordinator may still be loading; older versions do not wait for that.
		job.Eventually("the coordinator answers", func() bool {
			if one, err = manager.ManagePartition(p.Topic, partition); !errors.Is(err, sarama.ErrNotCoordinatorForConsumer) {
				job.Must(err)
			}
			return err == nil
		})
		one.ResetOffset(offset, metadata) // backwards
		one.MarkOffset(offset, metadata)  // or forwards
		defer one.AsyncClose()
	}
	manager.Commit()
}

func (p *program) committed(admin sarama.ClusterAdmin, partition int32) *sarama.OffsetFetchResponseBlock {
	answer, err := admin.ListConsumerGroupOffsets(p.Group, map[string][]int32{p.Topic: {partition}})
	job.Must(err)
	block := answer.GetBlock(p.Topic, partition)
	job.Check(block != nil && block.Err == sarama.ErrNoError, "offset of partition %d", partition)
	return block
}

func commitMetadata(p *program) {
	p.createTopic(3, nil)
	p.sendNumbered(30, 3, nil)
	p.commit(map[int32]int64{0: 7}, "où en étions-nous")
	p.commit(map[int32]int64{1: 3}, "")
	admin := p.admin()
	defer admin.Close()
	job.CheckEqual(p.committed(admin, 0).Offset, 7, "commit")
	job.CheckEqual(p.committed(admin, 0).Metadata, "où en étions-nous", "metadata")
	job.CheckEqual(p.committed(admin, 1).Offset, 3, "commit without metadata")
	job.CheckEqual(p.committed(admin, 2).Offset, -1, "no commit")
	client := p.client(p.config())
	defer client.Close()
	manager, err := sarama.NewOffsetManagerFromClient(p.Group, client)
	job.Must(err)
	one, err := manager.ManagePartition(p.Topic, 0)
	job.Must(err)
	defer one.AsyncClose()
	next, _ := one.NextOffset()
	job.CheckEqual(p.readFrom(1, []int32{0}, next, nil)[0].Offset, 7, "resumes at the commit")
}

func adminGroups(p *program) {
	p.createTopic(2, nil)
	p.sendNumbered(10, 2, nil)
	admin := p.admin()
	defer admin.Close()
	described := func() *sarama.GroupDescription {
		groups, err := admin.DescribeConsumerGroups([]string{p.Group})
		job.Must(err)
		return groups[0]
	}
	listed := func() bool {
		groups, err := admin.ListConsumerGroups()
		job.Must(err)
		_, found := groups[p.Group]
		return found
	}
	one := p.join(-1)
	ended := make(chan struct{})
	go func() {
		one.run()
		close(ended)
	}()
	job.Eventually("all is read", func() bool { return one.taken.Load() >= 10 })
	job.Check(listed(), "the group is listed")
	group := described()
	job.CheckEqual(group.State, "Stable", "state")
	job.CheckEqual(len(group.Members), 1, "members")
	for _, member := range group.Members {
		assignment, err := member.GetMemberAssignment()
		job.Must(err)
		job.CheckEqual(len(assignment.Topics[p.Topic]), 2, "assigned partitions")
	}
	close(p.Stopped)
	<-ended
	group = described()
	job.CheckEqual(group.State, "Empty", "state after its member left")
	job.CheckEqual(len(group.Members), 0, "members after its member left")
	job.Must(admin.DeleteConsumerGroup(p.Group))
	job.Check(!listed(), "the group is gone")
}

func consumerLag(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(20, 1, nil)
	p.commit(map[int32]int64{0: 5}, "")
	admin := p.admin()
	defer admin.Close()
	client := p.client(p.config())
	defer client.Close()
	lag := p.offset(client, 0, sarama.OffsetNewest) - p.committed(admin, 0).Offset
	job.CheckEqual(lag, 15, "lag")
}

func deleteRecords(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(20, 1, nil)
	admin := p.admin()
	defer admin.Close()
	job.Must(admin.DeleteRecords(p.Topic, map[int32]int64{0: 10}))
	client := p.client(p.config())
	defer client.Close()
	job.CheckEqual(p.offset(client, 0, sarama.OffsetOldest), 10, "first offset")
	job.CheckEqual(p.readFromStart(10, 1)[0].Offset, 10, "first offset read")
}
