package main

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
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
		must(err)
		return details.Has(p.Topic)
	}
	check(listed(), "the topic is listed")
	configs, err := admin.DescribeTopicConfigs(timeout(10), p.Topic)
	must(err)
	found := ""
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			found = config.MaybeValue()
		}
	}
	checkEqual(found, retention, "retention.ms")
	_, err = admin.CreateTopic(timeout(10), 1, 1, nil, p.Topic)
	check(errors.Is(err, kerr.TopicAlreadyExists), "created twice: %v", err)
	p.sendNumbered(5, 1)
	_, err = admin.DeleteTopic(timeout(20), p.Topic)
	must(err)
	eventually("the topic is gone", func() bool { return !listed() })
	p.createTopic(5, nil)
	p.sendNumbered(1, 1)
	p.readFromStart(1, 5)
}

func (p *program) commit(admin *kadm.Client, partition int32, offset int64, metadata string) {
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: p.Topic, Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	must(admin.CommitAllOffsets(timeout(20), p.Group, offsets))
}

func commitMetadata(p *program) {
	p.createTopic(3, nil)
	p.sendNumbered(30, 3)
	admin := p.admin()
	defer admin.Close()
	p.commit(admin, 0, 7, "où en étions-nous")
	p.commit(admin, 1, 3, "")
	offsets, err := admin.FetchOffsets(timeout(20), p.Group)
	must(err)
	first, _ := offsets.Lookup(p.Topic, 0)
	checkEqual(first.At, 7, "commit")
	checkEqual(first.Metadata, "où en étions-nous", "metadata")
	second, _ := offsets.Lookup(p.Topic, 1)
	checkEqual(second.At, 3, "commit without metadata")
	_, committed := offsets.Lookup(p.Topic, 2)
	check(!committed, "no commit")
	client := p.client(kgo.ConsumerGroup(p.Group), kgo.ConsumeTopics(p.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	lowest := map[int32]int64{}
	for _, record := range pollUntil(client, 3+7+10) {
		if before, seen := lowest[record.Partition]; !seen || record.Offset < before {
			lowest[record.Partition] = record.Offset
		}
	}
	checkEqual(lowest, map[int32]int64{0: 7, 1: 3, 2: 0}, "resumes at the commits")
}

func adminGroups(p *program) {
	p.createTopic(2, nil)
	p.sendNumbered(10, 2)
	admin := p.admin()
	defer admin.Close()
	client := p.client(kgo.ConsumerGroup(p.Group), kgo.ConsumeTopics(p.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	pollUntil(client, 10)
	must(client.CommitUncommittedOffsets(timeout(20)))
	listed := func(states ...string) bool {
		groups, err := admin.ListGroups(timeout(20), states...)
		must(err)
		_, found := groups[p.Group]
		return found
	}
	described := func() kadm.DescribedGroup {
		groups, err := admin.DescribeGroups(timeout(20), p.Group)
		must(err)
		return groups[p.Group]
	}
	check(listed(), "the group is listed")
	group := described()
	checkEqual(group.State, "Stable", "state")
	checkEqual(len(group.Members), 1, "members")
	checkEqual(len(group.AssignedPartitions()[p.Topic]), 2, "assigned partitions")
	client.Close()
	group = described()
	checkEqual(group.State, "Empty", "state after its member left")
	checkEqual(len(group.Members), 0, "members after its member left")
	check(listed("Empty"), "listed among the empty ones")
	check(!listed("Stable"), "not listed among the stable ones")
	_, err := admin.DeleteGroup(timeout(20), p.Group)
	must(err)
	check(!listed(), "the group is gone")
}

func consumerLag(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(20, 1)
	admin := p.admin()
	defer admin.Close()
	p.commit(admin, 0, 5, "")
	lags, err := admin.Lag(timeout(20), p.Group)
	must(err)
	lag, found := lags[p.Group].Lag.Lookup(p.Topic, 0)
	check(found, "no lag for the partition")
	checkEqual(lag.Lag, 15, "lag")
}

func deleteRecords(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(20, 1)
	admin := p.admin()
	defer admin.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(p.Topic, 0, 10, -1)
	answers, err := admin.DeleteRecords(timeout(20), offsets)
	must(err)
	answer, _ := answers.Lookup(p.Topic, 0)
	must(answer.Err)
	checkEqual(answer.LowWatermark, 10, "low watermark")
	starts, err := admin.ListStartOffsets(timeout(20), p.Topic)
	must(err)
	first, _ := starts.Lookup(p.Topic, 0)
	checkEqual(first.Offset, 10, "first offset")
	checkEqual(p.readFromStart(10, 1)[0].Offset, 10, "first offset read")
}
