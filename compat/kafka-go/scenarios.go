package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sort"
	"time"

	"github.com/segmentio/kafka-go"

	job "compat/gojob"
)

const twelveMegabytes = 12 << 20

func addScenarios(actions map[string]func(*program)) {
	for name, codec := range map[string]kafka.Compression{
		"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
	} {
		actions["produce-"+name] = func(p *program) { produce(p, codec) }
	}
	actions["consume-from-start"] = consumeFromStart
	actions["consume-from-end"] = consumeFromEnd
	actions["consume-from-timestamp"] = consumeFromTimestamp
	actions["auto-create-topic"] = autoCreateTopic
	actions["large-record"] = largeRecord
	actions["thousand-partitions"] = thousandPartitions
}

func sameBytes(left, right []byte) bool {
	return bytes.Equal(left, right) && (left == nil) == (right == nil)
}

func produce(p *program, codec kafka.Compression) {
	p.createTopic(3, nil)
	sent := map[int64]job.Record{}
	var messages []kafka.Message
	for _, record := range p.ExpectedRecords() {
		message := kafka.Message{Key: record.Key, Value: record.Value, Time: record.Timestamp}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: header[0], Value: []byte(header[1])})
		}
		messages = append(messages, message)
		sent[record.Timestamp.UnixMilli()] = record
	}
	writer := p.writer(&kafka.Hash{})
	writer.Compression = codec
	job.Must(writer.WriteMessages(timeout(30), messages...))
	job.Must(writer.Close())
	partitionOf := map[string]int{}
	for _, back := range p.readFromStart(len(sent), 3) {
		record, known := sent[back.Time.UnixMilli()]
		job.Check(known, "no record was sent with the timestamp %v", back.Time)
		delete(sent, back.Time.UnixMilli())
		job.Check(sameBytes(back.Key, record.Key), "key %q, expected %q", back.Key, record.Key)
		job.Check(sameBytes(back.Value, record.Value), "value %q, expected %q", back.Value, record.Value)
		job.CheckEqual(len(back.Headers), len(record.Headers), "headers")
		for index, header := range record.Headers {
			job.CheckEqual(back.Headers[index].Key, header[0], "header")
			job.CheckEqual(string(back.Headers[index].Value), header[1], "header's value")
		}
		if back.Key != nil {
			before, seen := partitionOf[string(back.Key)]
			job.Check(!seen || before == back.Partition, "key %s is in two partitions", back.Key)
			partitionOf[string(back.Key)] = back.Partition
		}
	}
	job.CheckEqual(len(sent), 0, "records that did not come back")
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
	reader := p.reader(0)
	defer reader.Close()
	job.CheckEqual(p.offsets([]int32{0})[0].LastOffset, 50, "end")
	job.Must(reader.SetOffset(kafka.LastOffset))
	go func() {
		// It looks the end up when it first reads.
		time.Sleep(2 * time.Second)
		p.sendNumbered(10, 1, nil)
	}()
	for expected := int64(50); expected < 60; expected++ {
		message, err := reader.FetchMessage(timeout(20))
		job.Must(err)
		job.CheckEqual(message.Offset, expected, "offset")
	}
}

func consumeFromTimestamp(p *program) {
	p.createTopic(1, nil)
	at := func(milliseconds int) time.Time { return job.Start.Add(time.Duration(milliseconds) * time.Millisecond) }
	messages := make([]kafka.Message, 50)
	for number := range messages {
		messages[number] = kafka.Message{Value: []byte(fmt.Sprint(number)), Time: at(number * 1000), WriterData: 0}
	}
	writer := p.writer(chosen)
	defer writer.Close()
	job.Must(writer.WriteMessages(timeout(30), messages...))
	for after, expected := range map[int]int64{-5: 0, 25_000: 25, 25_001: 26, 50_000: -1} {
		answer, err := p.client.ListOffsets(timeout(20), &kafka.ListOffsetsRequest{
			Topics: map[string][]kafka.OffsetRequest{p.Topic: {kafka.TimeOffsetOf(0, at(after))}},
		})
		job.Must(err)
		for offset := range answer.Topics[p.Topic][0].Offsets {
			job.CheckEqual(offset, expected, fmt.Sprintf("offset at %d", after))
		}
	}
	reader := p.reader(0)
	defer reader.Close()
	job.Must(reader.SetOffsetAt(timeout(20), at(25_000)))
	message, err := reader.FetchMessage(timeout(20))
	job.Must(err)
	job.CheckEqual(string(message.Value), "25", "first value")
}

func autoCreateTopic(p *program) {
	writer := p.writer(chosen)
	defer writer.Close()
	writer.AllowAutoTopicCreation = true
	messages := make([]kafka.Message, 3)
	for number := range messages {
		messages[number] = kafka.Message{Value: []byte(p.Value(number)), WriterData: 0}
	}
	// The first attempt only has the topic created; trying again is left to the library's users.
	job.Eventually("the topic is created", func() bool { return writer.WriteMessages(timeout(30), messages...) == nil })
	p.readFromStart(3, 1)
}

func largeRecord(p *program) {
	limit := fmt.Sprint(twelveMegabytes)
	p.createTopic(1, map[string]*string{"max.message.bytes": &limit})
	value := make([]byte, 10<<20)
	_, err := rand.Read(value)
	job.Must(err)
	writer := p.writer(&kafka.Hash{})
	writer.BatchBytes = twelveMegabytes
	job.Must(writer.WriteMessages(timeout(30), kafka.Message{Value: value}))
	job.Must(writer.Close())
	job.Check(bytes.Equal(p.readFromStart(1, 1)[0].Value, value), "the value comes back equal")
}

func thousandPartitions(p *program) {
	p.createTopic(1000, nil)
	partitions := []int{0, 1, 499, 999}
	writer := p.writer(chosen)
	for _, partition := range partitions {
		job.Must(writer.WriteMessages(timeout(30), kafka.Message{Value: []byte("x"), WriterData: partition}))
	}
	job.Must(writer.Close())
	found := []int{}
	for _, message := range p.readFromStart(len(partitions), 1000) {
		found = append(found, message.Partition)
	}
	sort.Ints(found)
	job.CheckEqual(found, partitions, "partitions with records")
	p.deleteTopic()
}
