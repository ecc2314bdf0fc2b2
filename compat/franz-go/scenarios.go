package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	job "compat/gojob"
)

const twelveMegabytes = 12 << 20

// In the past, but not so far that retention would remove the records.
var startTime = time.Now().Add(-time.Hour).UnixMilli()

func addScenarios(actions map[string]func(*program)) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
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

func expectedRecords(p *program) []*kgo.Record {
	records := make([]*kgo.Record, p.Records)
	for number := range records {
		record := &kgo.Record{
			Topic:     p.Topic,
			Key:       []byte(fmt.Sprintf("key-%d", number%10)),
			Value:     []byte(fmt.Sprintf("value-%d-%s", number, strings.Repeat("abcdefgh", p.ValueBytes/8))),
			Timestamp: time.UnixMilli(startTime + int64(number)),
		}
		if number%3 != 0 {
			record.Headers = []kgo.RecordHeader{
				{Key: "number", Value: []byte(fmt.Sprint(number))},
				{Key: "empty", Value: []byte{}},
				{Key: "null"},
				{Key: "number", Value: []byte("again")},
			}
		}
		records[number] = record
	}
	records[1].Key = nil
	records[2].Value = nil
	return records
}

func sameBytes(left, right []byte) bool {
	return bytes.Equal(left, right) && (left == nil) == (right == nil)
}

func produce(p *program, codec kgo.CompressionCodec) {
	p.createTopic(3, nil)
	sent := expectedRecords(p)
	client := p.client(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
	job.Must(client.ProduceSync(timeout(30), sent...).FirstErr())
	client.Close()
	place := func(record *kgo.Record) string { return fmt.Sprintf("%d@%d", record.Partition, record.Offset) }
	received := map[string]*kgo.Record{}
	partitionOf := map[string]int32{}
	for _, record := range p.readFromStart(len(sent), 3) {
		received[place(record)] = record
		if record.Key != nil {
			before, seen := partitionOf[string(record.Key)]
			job.Check(!seen || before == record.Partition, "key %s is in two partitions", record.Key)
			partitionOf[string(record.Key)] = record.Partition
		}
	}
	for number, record := range sent {
		back := received[place(record)]
		job.Check(back != nil, "record %d is not at %s", number, place(record))
		job.Check(sameBytes(back.Key, record.Key), "key %d: %q", number, back.Key)
		job.Check(sameBytes(back.Value, record.Value), "value %d: %q", number, back.Value)
		job.CheckEqual(back.Timestamp.UnixMilli(), record.Timestamp.UnixMilli(), "timestamp")
		job.CheckEqual(len(back.Headers), len(record.Headers), "headers")
		for index, header := range record.Headers {
			same := back.Headers[index].Key == header.Key && sameBytes(back.Headers[index].Value, header.Value)
			job.Check(same, "header %d of record %d: %v", index, number, back.Headers[index])
		}
	}
}

func consumeFromStart(p *program) {
	p.createTopic(2, nil)
	p.sendNumbered(100, 2)
	values := map[string]bool{}
	for _, record := range p.readFromStart(100, 2) {
		values[string(record.Value)] = true
	}
	job.CheckEqual(len(values), 100, "different values")
}

func consumeFromEnd(p *program) {
	p.createTopic(1, nil)
	p.sendNumbered(50, 1)
	client := p.client(p.assigned(1, kgo.NewOffset().AtEnd()))
	defer client.Close()
	// The end is looked up by the first poll: nothing may come, and then what is sent is seen.
	job.Check(client.PollFetches(timeout(2)).NumRecords() == 0, "records from before the end")
	p.sendNumbered(10, 1)
	records := pollUntil(client, 10)
	job.CheckEqual(records[0].Offset, 50, "first offset")
	job.CheckEqual(records[9].Offset, 59, "last offset")
}

func consumeFromTimestamp(p *program) {
	p.createTopic(1, nil)
	client := p.client(kgo.ProducerLinger(50 * time.Millisecond))
	var records []*kgo.Record
	for number := range 50 {
		timestamp := time.UnixMilli(startTime + int64(number)*1000)
		records = append(records, &kgo.Record{Topic: p.Topic, Value: []byte(fmt.Sprint(number)), Timestamp: timestamp})
	}
	job.Must(client.ProduceSync(timeout(30), records...).FirstErr())
	client.Close()
	admin := p.admin()
	defer admin.Close()
	for _, pair := range [][2]int64{{-5, 0}, {25_000, 25}, {25_001, 26}} {
		listed, err := admin.ListOffsetsAfterMilli(timeout(20), startTime+pair[0], p.Topic)
		job.Must(err)
		found, _ := listed.Lookup(p.Topic, 0)
		job.Must(found.Err)
		job.CheckEqual(found.Offset, pair[1], fmt.Sprint("offset at ", pair[0]))
		job.CheckEqual(found.Timestamp, startTime+pair[1]*1000, fmt.Sprint("timestamp at ", pair[0]))
	}
	reader := p.client(p.assigned(1, kgo.NewOffset().AfterMilli(startTime+25_000)))
	defer reader.Close()
	job.CheckEqual(string(pollUntil(reader, 1)[0].Value), "25", "first value")
}

func idempotentProduce(p *program) {
	p.createTopic(1, nil)
	// Idempotence is this client's default.
	p.sendNumbered(1000, 1, kgo.MaxBufferedRecords(10))
	for number, record := range p.readFromStart(1000, 1) {
		job.CheckEqual(string(record.Value), fmt.Sprint(number), "value")
	}
}

func autoCreateTopic(p *program) {
	p.sendNumbered(3, 1, kgo.AllowAutoTopicCreation())
	p.readFromStart(3, 1)
}

func largeRecord(p *program) {
	limit := fmt.Sprint(twelveMegabytes)
	p.createTopic(1, map[string]*string{"max.message.bytes": &limit})
	value := make([]byte, 10<<20)
	_, err := rand.Read(value)
	job.Must(err)
	client := p.client(kgo.ProducerBatchMaxBytes(twelveMegabytes))
	job.Must(client.ProduceSync(timeout(60), &kgo.Record{Topic: p.Topic, Value: value}).FirstErr())
	client.Close()
	record := p.readFromStart(1, 1, kgo.FetchMaxPartitionBytes(twelveMegabytes))[0]
	job.Check(bytes.Equal(record.Value, value), "the value comes back equal")
}

func thousandPartitions(p *program) {
	p.createTopic(1000, nil)
	chosen := []int32{0, 1, 499, 999}
	client := p.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, partition := range chosen {
		record, err := client.ProduceSync(timeout(30), &kgo.Record{Topic: p.Topic, Partition: partition, Value: []byte("x")}).First()
		job.Must(err)
		job.CheckEqual(record.Offset, 0, "offset")
	}
	client.Close()
	var found []int32
	for _, record := range p.readFromStart(len(chosen), 1000) {
		found = append(found, record.Partition)
	}
	sort.Slice(found, func(i, j int) bool { return found[i] < found[j] })
	job.CheckEqual(found, chosen, "partitions with records")
	admin := p.admin()
	defer admin.Close()
	_, err := admin.DeleteTopic(timeout(30), p.Topic)
	job.Must(err)
}
