package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sort"
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

const twelveMegabytes = 12 << 20

func addScenarios(actions map[string]func(*program)) {
	for name, codec := range map[string]sarama.CompressionCodec{
		"none":   sarama.CompressionNone,
		"gzip":   sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy,
		"lz4":    sarama.CompressionLZ4,
		"zstd":   sarama.CompressionZSTD,
	} {
		actions["produce-"+name] = func(p *program) { produce(p, codec) }
	}
	actions["consume-from-start"] = consumeFromStart
	actions["consume-from-end"] = consumeFromEnd
	actions["consume-from-timestamp"] = consumeFromTimestamp
	actions["idempotent-produce"] = idempotentProduce
	actions["auto-create-topic"] = autoCreateTopic
	actions["large-record"] = largeRecord
	actions["thousand-partitions"] = thousandPartitions
}

func encoder(value []byte) sarama.Encoder {
	if value == nil {
		return nil
	}
	return sarama.ByteEncoder(value)
}

func sameBytes(left, right []byte) bool {
	return bytes.Equal(left, right) && (left == nil) == (right == nil)
}

func produce(p *program, codec sarama.CompressionCodec) {
	p.createTopic(3, nil)
	sent := p.ExpectedRecords()
	messages := make([]*sarama.ProducerMessage, len(sent))
	for number, record := range sent {
		message := &sarama.ProducerMessage{
			Topic: p.Topic, Key: encoder(record.Key), Value: encoder(record.Value), Timestamp: record.Timestamp,
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header[0]), Value: []byte(header[1])})
		}
		messages[number] = message
	}
	config := p.config()
	config.Producer.Compression = codec
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	p.send(config, messages)
	place := func(partition int32, offset int64) string { return fmt.Sprintf("%d@%d", partition, offset) }
	received := map[string]*sarama.ConsumerMessage{}
	partitionOf := map[string]int32{}
	for _, message := range p.readFromStart(len(sent), 3) {
		received[place(message.Partition, message.Offset)] = message
		if message.Key != nil {
			before, seen := partitionOf[string(message.Key)]
			job.Check(!seen || before == message.Partition, "key %s is in two partitions", message.Key)
			partitionOf[string(message.Key)] = message.Partition
		}
	}
	for number, record := range sent {
		back := received[place(messages[number].Partition, messages[number].Offset)]
		job.Check(back != nil, "record %d is not at %d@%d", number, messages[number].Partition, messages[number].Offset)
		job.Check(sameBytes(back.Key, record.Key), "key %q, expected %q", back.Key, record.Key)
		job.Check(sameBytes(back.Value, record.Value), "value of record %d", number)
		job.CheckEqual(back.Timestamp.UnixMilli(), record.Timestamp.UnixMilli(), "timestamp")
		job.CheckEqual(len(back.Headers), len(record.Headers), "headers")
		for index, header := range record.Headers {
			job.CheckEqual(string(back.Headers[index].Key), header[0], "header")
			job.CheckEqual(string(back.Headers[index].Value), header[1], "header's value")
		}
	}
}

func consumeFromStart(p *program) {
	p.createTopic(2, nil)
	p.sendNumbered(100, 2, nil)
	values := map[string]bool{}
	for _, message := range p.readFromStart(100, 2) {
		values[string(message.Value)] = true
	}
	job.CheckEqual(len(values), 100, "different values")
}

func consumeFromEnd(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(50, 1, nil)
	consumer, err := sarama.NewConsumer(p.addresses(), p.config())
	job.Must(err)
	defer consumer.Close()
	one, err := consumer.ConsumePartition(p.Topic, 0, sarama.OffsetNewest)
	job.Must(err)
	defer one.AsyncClose()
	p.sendNumbered(10, 1, nil)
	for expected := int64(50); expected < 60; expected++ {
		select {
		case message := <-one.Messages():
			job.CheckEqual(message.Offset, expected, "offset")
		case <-time.After(20 * time.Second):
			job.Check(false, "no record at %d within 20 s", expected)
		}
	}
}

func consumeFromTimestamp(p *program) {
	p.createTopic(1, nil)
	config := p.config()
	config.Producer.Flush.Frequency = 50 * time.Millisecond
	messages := make([]*sarama.ProducerMessage, 50)
	at := func(seconds int) time.Time { return job.Start.Add(time.Duration(seconds) * time.Second) }
	for number := range messages {
		messages[number] = &sarama.ProducerMessage{
			Topic: p.Topic, Value: sarama.StringEncoder(fmt.Sprint(number)), Timestamp: at(number),
		}
	}
	p.send(config, messages)
	client := p.client(p.config())
	defer client.Close()
	start := job.Start.UnixMilli()
	job.CheckEqual(p.offset(client, 0, start-5), 0, "offset before the first")
	job.CheckEqual(p.offset(client, 0, start+25_000), 25, "offset at 25 s")
	job.CheckEqual(p.offset(client, 0, start+25_001), 26, "offset after 25 s")
	job.CheckEqual(p.offset(client, 0, start+50_000), -1, "offset after the last")
	first := p.readFrom(1, []int32{0}, 25, nil)[0]
	job.CheckEqual(string(first.Value), "25", "first value")
}

func idempotentProduce(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(1000, 1, func(config *sarama.Config) {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Flush.MaxMessages = 10
	})
	for number, message := range p.readFromStart(1000, 1) {
		job.CheckEqual(string(message.Value), fmt.Sprint(number), "value")
	}
}

func autoCreateTopic(p *program) {
	p.sendNumbered(3, 1, nil)
	p.readFromStart(3, 1)
}

func largeRecord(p *program) {
	limit := fmt.Sprint(twelveMegabytes)
	p.createTopic(1, map[string]*string{"max.message.bytes": &limit})
	value := make([]byte, 10<<20)
	_, err := rand.Read(value)
	job.Must(err)
	config := p.config()
	config.Producer.MaxMessageBytes = twelveMegabytes
	p.send(config, []*sarama.ProducerMessage{{Topic: p.Topic, Value: sarama.ByteEncoder(value)}})
	read := p.readFrom(1, []int32{0}, sarama.OffsetOldest, func(config *sarama.Config) {
		config.Consumer.Fetch.Default = twelveMegabytes
	})
	job.Check(bytes.Equal(read[0].Value, value), "the value comes back equal")
}

func thousandPartitions(p *program) {
	p.createTopic(1000, nil)
	chosen := []int32{0, 1, 499, 999}
	config := p.config()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	messages := make([]*sarama.ProducerMessage, len(chosen))
	for index, partition := range chosen {
		messages[index] = &sarama.ProducerMessage{Topic: p.Topic, Partition: partition, Value: sarama.StringEncoder("x")}
	}
	p.send(config, messages)
	found := []int{}
	for _, message := range p.readFromStart(len(chosen), 1000) {
		found = append(found, int(message.Partition))
	}
	sort.Ints(found)
	job.CheckEqual(found, chosen, "partitions with records")
	p.deleteTopic()
}
