package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	job "compat/gojob"
)

func addRoles(actions map[string]func(*program)) {
	actions["create"] = func(p *program) { p.createTopic(p.Partitions, p.Configs) }
	actions["delete"] = deleteTopic
	actions["grow"] = grow
	actions["reset"] = reset
	actions["producer"] = producer
	actions["member"] = oneMember
	actions["crowd"] = crowd
	actions["read"] = read
}

func deleteTopic(p *program) {
	admin := p.admin()
	defer admin.Close()
	_, err := admin.DeleteTopic(timeout(20), p.Topic)
	job.Must(err)
	job.Eventually("the topic is gone", func() bool {
		details, err := admin.ListTopics(timeout(10))
		job.Must(err)
		return !details.Has(p.Topic)
	})
}

func grow(p *program) {
	admin := p.admin()
	defer admin.Close()
	answers, err := admin.UpdatePartitions(timeout(20), p.Partitions, p.Topic)
	job.Must(err)
	job.Must(answers.Error())
}

func reset(p *program) {
	admin := p.admin()
	defer admin.Close()
	offsets := kadm.Offsets{}
	for partition, offset := range p.Offsets {
		offsets.AddOffset(p.Topic, partition, offset, -1)
	}
	job.Must(admin.CommitAllOffsets(timeout(20), p.Group, offsets))
}

func (p *program) partitioner() kgo.Partitioner {
	if p.Partitioner != "reversed" {
		return kgo.ManualPartitioner()
	}
	return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
		return func(record *kgo.Record, partitions int) int {
			return partitions - 1 - int(record.Partition)%partitions
		}
	})
}

func producer(p *program) {
	p.Listen()
	client := p.client(kgo.RecordPartitioner(p.partitioner()))
	sent := p.Paced(func(number int) {
		partition := int32(number % p.PartitionsUsed())
		record := &kgo.Record{Topic: p.Topic, Partition: partition, Value: []byte(p.Value(number))}
		client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
			job.EmitProduced(record.Partition, record.Offset, string(record.Value), err)
		})
	})
	job.Must(client.Flush(timeout(50)))
	client.Close()
	job.Emit("done", map[string]any{"sent": sent})
}

func emitRecord(record *kgo.Record) {
	headers := map[string]string{}
	for _, header := range record.Headers {
		headers[header.Key] = string(header.Value)
	}
	job.EmitRecord(record.Topic, record.Partition, record.Offset, record.Value, headers)
}

func read(p *program) {
	admin := p.admin()
	ends, err := admin.ListEndOffsets(timeout(20), p.Topic)
	job.Must(err)
	starts, err := admin.ListStartOffsets(timeout(20), p.Topic)
	job.Must(err)
	admin.Close()
	count := int64(0)
	assignment := map[int32]kgo.Offset{}
	for _, partition := range p.WantedPartitions() {
		end, _ := ends.Lookup(p.Topic, partition)
		start, _ := starts.Lookup(p.Topic, partition)
		count += end.Offset - start.Offset
		assignment[partition] = kgo.NewOffset().AtStart()
	}
	client := p.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: assignment}))
	defer client.Close()
	for _, record := range pollUntil(client, int(count)) {
		emitRecord(record)
	}
}
