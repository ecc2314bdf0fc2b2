// Command program runs for compat/run what sarama says to a broker that it takes for an old one, in every codec of that time.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

const count = 300

var (
	versions = map[string]sarama.KafkaVersion{
		"0.8.2": sarama.V0_8_2_0, "0.9.0": sarama.V0_9_0_0, "0.10.0": sarama.V0_10_0_0, "0.10.2": sarama.V0_10_2_0,
		"1.0.0": sarama.V1_0_0_0,
	}
	// In these words, what was written in the older ones is read once more.
	newest = sarama.V1_0_0_0
	codecs = []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4,
	}
)

// conversation is about one topic, in the words of one version.
type conversation struct {
	bootstrap []string
	topic     string
	group     string
	version   sarama.KafkaVersion
	codec     sarama.CompressionCodec
	// start is when it began, in whole milliseconds.
	start time.Time
	// timed tells whether the records were written with their times.
	timed bool
}

func speak(j *job.Job, version sarama.KafkaVersion) {
	for _, codec := range codecs {
		if codec == sarama.CompressionLZ4 && !version.IsAtLeast(sarama.V0_10_0_0) {
			continue
		}
		one := &conversation{
			bootstrap: []string{j.Bootstrap},
			topic:     fmt.Sprintf("%s-%s", j.Topic, codec),
			group:     fmt.Sprintf("%s-%s", j.Group, codec),
			version:   version,
			codec:     codec,
			start:     time.UnixMilli(time.Now().UnixMilli()),
			timed:     version.IsAtLeast(sarama.V0_10_0_0),
		}
		one.write()
		one.read()
		one.commit()
		if version != newest {
			again := *one
			again.version = newest
			again.read()
		}
	}
}

func (c *conversation) config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = c.version
	config.ApiVersionsRequest = false
	config.Producer.Compression = c.codec
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Flush.Messages = 50
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	return config
}

func (c *conversation) client() sarama.Client {
	client, err := sarama.NewClient(c.bootstrap, c.config())
	job.Must(err)
	return client
}

// write sends the records; their offsets are counted from 0.
func (c *conversation) write() {
	producer, err := sarama.NewSyncProducer(c.bootstrap, c.config())
	job.Must(err)
	messages := make([]*sarama.ProducerMessage, count)
	for number := range messages {
		messages[number] = &sarama.ProducerMessage{Topic: c.topic, Key: key(number), Value: value(number)}
	}
	job.Must(producer.SendMessages(messages))
	for number, message := range messages {
		job.CheckEqual(message.Offset, number, "the offset of what was sent")
	}
	job.Must(producer.Close())
}

// read gets all records from the partition, and its end by both ways to ask for offsets.
func (c *conversation) read() {
	client := c.client()
	defer client.Close()
	end, err := client.GetOffset(c.topic, 0, sarama.OffsetNewest)
	job.Must(err)
	job.CheckEqual(end, count, "the log's end")
	if c.timed && c.version.IsAtLeast(sarama.V0_10_2_0) {
		first, err := client.GetOffset(c.topic, 0, c.start.UnixMilli())
		job.Must(err)
		job.CheckEqual(first, 0, "the offset of the time when it began")
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	job.Must(err)
	partition, err := consumer.ConsumePartition(c.topic, 0, sarama.OffsetOldest)
	job.Must(err)
	defer partition.Close()
	deadline := time.After(30 * time.Second)
	for number := range count {
		select {
		case message := <-partition.Messages():
			c.check(message, number)
		case <-deadline:
			job.Check(false, "%d of %d records within 30 s", number, count)
		}
	}
}

func (c *conversation) check(message *sarama.ConsumerMessage, number int) {
	job.CheckEqual(message.Offset, number, "the offset")
	job.CheckEqual(string(message.Key), text(key(number)), "the key")
	job.CheckEqual(string(message.Value), text(value(number)), "the value")
	if c.timed {
		late := message.Timestamp.After(time.Now())
		job.Check(!late && !message.Timestamp.Before(c.start), "the time %s is not of this run", message.Timestamp)
	}
}

// commit marks all as read; another client of the group finds that, with what was written beside it.
func (c *conversation) commit() {
	offset, _ := c.offset(func(partition sarama.PartitionOffsetManager) {
		partition.MarkOffset(count, "read by "+c.version.String())
	})
	job.CheckEqual(offset, sarama.OffsetOldest, "the offset before the commit")
	offset, metadata := c.offset(func(sarama.PartitionOffsetManager) {})
	job.CheckEqual(offset, count, "the committed offset")
	job.CheckEqual(metadata, "read by "+c.version.String(), "its metadata")
}

// offset gives the group's offset and its metadata before it changes it.
func (c *conversation) offset(change func(sarama.PartitionOffsetManager)) (int64, string) {
	client := c.client()
	defer client.Close()
	manager, err := sarama.NewOffsetManagerFromClient(c.group, client)
	job.Must(err)
	var partition sarama.PartitionOffsetManager
	job.Eventually("an answer of the group's coordinator", func() bool {
		var err error
		partition, err = manager.ManagePartition(c.topic, 0)
		// While it loads, Apache leaves out the partition in OffsetFetch 1.
		if !errors.Is(err, sarama.ErrIncompleteResponse) {
			job.Must(err)
		}
		return err == nil
	})
	offset, metadata := partition.NextOffset()
	change(partition)
	manager.Commit()
	partition.AsyncClose()
	job.Must(manager.Close())
	return offset, metadata
}

func key(number int) sarama.Encoder {
	if number%3 == 0 {
		return nil
	}
	return sarama.StringEncoder(fmt.Sprint("k", number))
}

func value(number int) sarama.Encoder {
	if number%5 == 0 {
		return nil
	}
	return sarama.StringEncoder(fmt.Sprint("v", number))
}

func text(encoder sarama.Encoder) string {
	if encoder == nil {
		return ""
	}
	bytes, err := encoder.Encode()
	job.Must(err)
	return string(bytes)
}

func main() {
	sarama.Logger = log.New(os.Stderr, "sarama ", log.LstdFlags)
	actions := map[string]func(*job.Job){}
	for name, version := range versions {
		actions["as-to-"+name] = func(j *job.Job) { speak(j, version) }
	}
	job.Main(actions)
}
