package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	job "compat/gojob"
)

func addRoles(actions map[string]func(*program)) {
	actions["create"] = func(p *program) { p.createTopic(p.Partitions, p.Configs) }
	actions["delete"] = func(p *program) { p.deleteTopic() }
	actions["grow"] = grow
	actions["reset"] = func(p *program) { p.commit(p.Offsets, "") }
	actions["producer"] = producer
	actions["member"] = func(p *program) {
		p.Listen()
		p.join(-1).run()
	}
	actions["crowd"] = crowd
	actions["read"] = read
}

func grow(p *program) {
	answer, err := p.client.CreatePartitions(timeout(20), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: p.Topic, Count: int32(p.Partitions)}},
	})
	job.Must(err)
	job.Must(answer.Errors[p.Topic])
}

func producer(p *program) {
	p.Listen()
	balancer := chosen
	if p.Partitioner == "reversed" {
		balancer = func(message kafka.Message, partitions ...int) int {
			slices.Sort(partitions)
			number, err := strconv.Atoi(string(message.Key))
			job.Must(err)
			return partitions[len(partitions)-1-number%len(partitions)]
		}
	}
	writer := p.writer(balancer)
	writer.Async = true
	if p.MetadataMaxAgeMs > 0 {
		writer.MaxAttempts = 1 // a partition may not be there yet
	}
	writer.Completion = func(messages []kafka.Message, err error) {
		for _, message := range messages {
			job.EmitProduced(int32(message.Partition), message.Offset, string(message.Value), err)
		}
	}
	sent := p.Paced(func(number int) {
		message := kafka.Message{Value: []byte(p.Value(number)), WriterData: number % p.PartitionsUsed()}
		if p.Partitioner != "" {
			message.Key = []byte(strconv.Itoa(number))
		}
		if err := writer.WriteMessages(context.Background(), message); err != nil {
			job.EmitProduced(0, 0, "", err)
		}
	})
	job.Must(writer.Close())
	job.Emit("done", map[string]any{"sent": sent})
}

// member is one consumer of a group; each of the group's generations gives it partitions anew.
type member struct {
	*program
	group  *kafka.ConsumerGroup
	number int // -1: the only one of this process
}

func (p *program) join(number int) *member {
	heartbeats := milliseconds(500)
	if number >= 0 {
		heartbeats = milliseconds(3000)
	}
	watch := 5 * time.Second
	if p.MetadataMaxAgeMs > 0 {
		watch = milliseconds(p.MetadataMaxAgeMs)
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: p.Group, Brokers: []string{p.Bootstrap}, Topics: []string{p.Topic}, StartOffset: kafka.FirstOffset,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}, HeartbeatInterval: heartbeats,
		SessionTimeout: milliseconds(p.SessionTimeoutMs), RebalanceTimeout: 60 * time.Second,
		JoinGroupBackoff: milliseconds(500), WatchPartitionChanges: true, PartitionWatchInterval: watch,
		Timeout: 60 * time.Second,
	})
	job.Must(err)
	return &member{program: p, group: group, number: number}
}

func (m *member) run() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-m.Stopped
		cancel()
	}()
	for ctx.Err() == nil {
		generation, err := m.group.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				job.Emit("poll-error", map[string]any{"error": err.Error()})
			}
			continue
		}
		owned := []int32{}
		for _, one := range generation.Assignments[m.Topic] {
			owned = append(owned, int32(one.ID))
			generation.Start(func(ctx context.Context) { m.consume(ctx, generation, one) })
		}
		slices.Sort(owned)
		job.EmitAssignment(owned, m.number)
		generation.Start(func(ctx context.Context) {
			<-ctx.Done()
			job.EmitAssignment(nil, m.number)
		})
	}
	job.Must(m.group.Close())
}

func (m *member) consume(ctx context.Context, generation *kafka.Generation, place kafka.PartitionAssignment) {
	wait := 500
	if m.MaxWaitMs > 0 {
		wait = m.MaxWaitMs
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{m.Bootstrap}, Topic: m.Topic, Partition: place.ID, MinBytes: 1, MaxBytes: 1 << 20,
		MaxWait: milliseconds(wait), ReadBackoffMax: milliseconds(200), QueueCapacity: 100,
	})
	defer reader.Close()
	job.Must(reader.SetOffset(place.Offset))
	for {
		message, err := reader.FetchMessage(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			job.Emit("poll-error", map[string]any{"error": err.Error()})
			continue
		}
		m.bury(message)
		headers := map[string]string{}
		for _, header := range message.Headers {
			headers[header.Key] = string(header.Value)
		}
		job.EmitRecord(message.Topic, int32(message.Partition), message.Offset, message.Value, headers)
		next := message.Offset + 1
		err = generation.CommitOffsets(map[string]map[int]int64{m.Topic: {place.ID: next}})
		job.EmitCommit(map[int32]int64{int32(place.ID): next}, err)
	}
}

// bury sends a record that the program cannot take to the dead letters' topic, if there is one.
func (m *member) bury(message kafka.Message) {
	if !m.IsPoison(message.Value) {
		return
	}
	writer := m.writer(&kafka.Hash{})
	writer.Topic = m.DeadLetter
	letter := kafka.Message{Value: message.Value}
	for name, value := range job.Origin(message.Topic, int32(message.Partition), message.Offset) {
		letter.Headers = append(letter.Headers, kafka.Header{Key: name, Value: []byte(value)})
	}
	job.Must(writer.WriteMessages(timeout(20), letter))
	job.Must(writer.Close())
}

func crowd(p *program) {
	p.Listen()
	var all sync.WaitGroup
	for number := range p.Members {
		all.Go(p.join(number).run)
	}
	all.Wait()
}

func read(p *program) {
	for _, message := range p.readAll(p.WantedPartitions()) {
		headers := map[string]string{}
		for _, header := range message.Headers {
			headers[header.Key] = string(header.Value)
		}
		job.EmitRecord(message.Topic, int32(message.Partition), message.Offset, message.Value, headers)
	}
}
