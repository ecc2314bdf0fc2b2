package main

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

func addRoles(actions map[string]func(*program)) {
	actions["create"] = func(p *program) { p.createTopic(p.Partitions, p.Configs) }
	actions["delete"] = func(p *program) { p.deleteTopic() }
	actions["grow"] = grow
	actions["reset"] = func(p *program) { p.commit(p.Offsets, "") }
	actions["producer"] = producer
	actions["member"] = oneMember
	actions["crowd"] = crowd
	actions["read"] = read
}

func grow(p *program) {
	admin := p.admin()
	defer admin.Close()
	job.Must(admin.CreatePartitions(p.Topic, int32(p.Partitions), nil, false))
}

// reversed counts the partitions from the end, by the number that is the key.
type reversed struct{}

func (reversed) Partition(message *sarama.ProducerMessage, partitions int32) (int32, error) {
	key, err := message.Key.Encode()
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(string(key))
	return partitions - 1 - int32(number)%partitions, err
}

func (reversed) RequiresConsistency() bool { return true }

func producer(p *program) {
	p.Listen()
	config := p.config()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Partitioner = sarama.NewManualPartitioner
	if p.Partitioner == "reversed" {
		config.Producer.Partitioner = func(string) sarama.Partitioner { return reversed{} }
	}
	client, err := sarama.NewAsyncProducer(p.addresses(), config)
	job.Must(err)
	var reports sync.WaitGroup
	var reported atomic.Int64
	report := func(message *sarama.ProducerMessage, err error) {
		job.EmitProduced(message.Partition, message.Offset, message.Metadata.(string), err)
		reported.Add(1)
	}
	reports.Add(2)
	go func() {
		defer reports.Done()
		for message := range client.Successes() {
			report(message, nil)
		}
	}()
	go func() {
		defer reports.Done()
		for problem := range client.Errors() {
			report(problem.Msg, problem.Err)
		}
	}()
	sent := p.Paced(func(number int) {
		value := p.Value(number)
		client.Input() <- &sarama.ProducerMessage{
			Topic: p.Topic, Partition: int32(number % p.PartitionsUsed()), Metadata: value,
			Key: sarama.StringEncoder(strconv.Itoa(number)), Value: sarama.StringEncoder(value),
		}
	})
	// It has no flush, and closing refuses what has to be sent once more.
	for waited := 0; waited < 500 && reported.Load() < int64(sent); waited++ {
		time.Sleep(milliseconds(100))
	}
	client.AsyncClose()
	reports.Wait()
	job.Emit("done", map[string]any{"sent": sent})
}

func emitMessage(message *sarama.ConsumerMessage) {
	headers := map[string]string{}
	for _, header := range message.Headers {
		headers[string(header.Key)] = string(header.Value)
	}
	job.EmitRecord(message.Topic, message.Partition, message.Offset, message.Value, headers)
}

func read(p *program) {
	client := p.client(p.config())
	defer client.Close()
	count := int64(0)
	for _, partition := range p.WantedPartitions() {
		count += p.offset(client, partition, sarama.OffsetNewest) - p.offset(client, partition, sarama.OffsetOldest)
	}
	for _, message := range p.readFrom(int(count), p.WantedPartitions(), sarama.OffsetOldest, nil) {
		emitMessage(message)
	}
}

func milliseconds(count int) time.Duration { return time.Duration(count) * time.Millisecond }
