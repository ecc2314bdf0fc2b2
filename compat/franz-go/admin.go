package main

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

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
	listed := func() bool {
		details, err := admin.ListTopics(timeout(10))
		job.Must(err)
		return details.Has(p.Topic)
	}
	job.Check(listed(), "the topic is listed")
	configs, err := admin.DescribeTopicConfigs(timeout(10), p.Topic)
	job.Must(err)
	found := ""
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			found = config.MaybeValue()
		}
	}
	job.CheckEqual(found, retention, "retention.ms")
	_, err = admin.CreateTopic(timeout(10), 1, 1, nil, p.Topic)
	job.Check(errors.Is(err, kerr.TopicAlreadyExists), "created twice: %v", err)
	p.sendNumbered(5, 1)
	_, err = admin.DeleteTopic(timeout(20), p.Topic)
	job.Must(err)
	job.Eventually("the topic is gone", func() bool { return !listed() })
	p.createTopic(5, nil)
	p.sendNumbered(1, 1)
	p.readFromStart(1, 5)
}

func (p *program) commit(admin *kadm.Client, partition int32, offset int64, metadata string) {
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: p.Topic, Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	job.Must(admin.CommitAllOffsets(timeout(20), p.Group, offsets))
}

func commitMetadata(p *program) {
	p.createTopic(3, nil)
	p.sendNumbered(30, 3)
	admin := p.admin()
	defer admin.Close()
	p.commit(admin, 0, 7, "où en étions-nous")
	p.commit(admin, 1, 3, "")
	offsets, err := admin.FetchOffsets(timeout(20), p.Group)
	job.Must(err)
	first, _ := offsets.Lookup(p.Topic, 0)
	job.CheckEqual(first.At, 7, "commit")
	job.CheckEqual(first.Metadata, "où en étions-nous", "metadata")
	second, _ := offsets.Lookup(p.Topic, 1)
	job.CheckEqual(second.At, 3, "commit without metadata")
	_, committed := offsets.Lookup(p.Topic, 2)
	job.Check(!committed, "no commit")
	client := p.client(kgo.ConsumerGroup(p.Group), kgo.ConsumeTopics(p.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	lowest := map[int32]int64{}
	for _, record := range pollUntil(client, 3+7+10) {
		if before, seen := lowest[record.Partition]; !seen || record.Offset < before {
			lowest[record.Partition] = record.Offset
		}
	}
	job.CheckEqual(lowest, map[int32]int64{0: 7, 1: 3, 2: 0}, "resumes at the commits")
}

func adminGroups(p *program) {
	p.createTopic(2, nil)
	p.sendNumbered(10, 2)
	admin := p.admin()
	defer admin.Close()
	client := p.client(kgo.ConsumerGroup(p.Group), kgo.ConsumeTopics(p.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	pollUntil(client, 10)
	job.Must(client.CommitUncommittedOffsets(timeout(20)))
	listed := func(states ...string) bool {
		groups, err := admin.ListGroups(timeout(20), states...)
		job.Must(err)
		_, found := groups[p.Group]
		return found
	}
	described := func() kadm.DescribedGroup {
		groups, err := admin.DescribeGroups(timeout(20), p.Group)
		job.Must(err)
		return groups[p.Group]
	}
	job.Check(listed(), "the group is listed")
	group := described()
	job.CheckEqual(group.State, "Stable", "state")
	job.CheckEqual(len(group.Members), 1, "members")
	job.CheckEqual(len(group.AssignedPartitions()[p.Topic]), 2, "assigned partitions")
	client.Close()
	group = described()
	job.CheckEqual(group.State, "Empty", "state after its member left")
	job.CheckEqual(len(group.Members), 0, "members after its member left")
	job.Check(listed("Empty"), "listed among the empty ones")
	job.Check(!listed("Stable"), "not listed among the stable ones")
	_, err := admin.DeleteGroup(timeout(20), p.Group)
	job.Must(err)
	job.Check(!listed(), "the group is gone")
}

func consumerLag(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(20, 1)
	admin := p.admin()
	defer admin.Close()
	p.commit(admin, 0, 5, "")
	lags, err := admin.Lag(timeout(20), p.Group)
	job.Must(err)
	lag, found := lags[p.Group].Lag.Lookup(p.Topic, 0)
	job.Check(found, "no lag for the partition")
	job.CheckEqual(lag.Lag, 15, "lag")
}

func deleteRecords(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(20, 1)
	admin := p.admin()
	defer admin.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(p.Topic, 0, 10, -1)
	answers, err := admin.DeleteRecords(timeout(20), offsets)
	job.Must(err)
	answer, _ := answers.Lookup(p.Topic, 0)
	job.Must(answer.Err)
	job.CheckEqual(answer.LowWatermark, 10, "low watermark")
	starts, err := admin.ListStartOffsets(timeout(20), p.Topic)
	job.Must(err)
	first, _ := starts.Lookup(p.Topic, 0)
	job.CheckEqual(first.Offset, 10, "first offset")
	job.CheckEqual(p.readFromStart(10, 1)[0].Offset, 10, "first offset read")
}
