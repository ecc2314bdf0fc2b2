// Command program runs sarama's scenarios and roles for compat/run.
package main

import (
	"errors"
	"log"
	"os"
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

// program is one run of one scenario or role.
type program struct{ *job.Job }

func (p *program) config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.Retry.Max = 100
	config.Metadata.Retry.Backoff = 100 * time.Millisecond
	if p.MetadataMaxAgeMs > 0 {
		config.Metadata.RefreshFrequency = time.Duration(p.MetadataMaxAgeMs) * time.Millisecond
	}
	config.Admin.Timeout = 30 * time.Second
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Retry.Max = 240 // a minute: a broker that restarts on a busy machine
	config.Producer.Retry.Backoff = 250 * time.Millisecond
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	adapt(config)
	return config
}

func (p *program) addresses() []string { return []string{p.Bootstrap} }

func (p *program) client(config *sarama.Config) sarama.Client {
	client, err := sarama.NewClient(p.addresses(), config)
	job.Must(err)
	return client
}

func (p *program) admin() sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin(p.addresses(), p.config())
	job.Must(err)
	return admin
}

func (p *program) createTopic(partitions int, configs map[string]*string) {
	admin := p.admin()
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1, ConfigEntries: configs}
	job.Must(admin.CreateTopic(p.Topic, detail, false))
	job.Eventually("the new topic is visible", func() bool {
		found, err := admin.DescribeTopics([]string{p.Topic})
		if err != nil || found[0].Err != sarama.ErrNoError || len(found[0].Partitions) != partitions {
			return false
		}
		for _, partition := range found[0].Partitions {
			if partition.Leader < 0 {
				return false
			}
		}
		return true
	})
}

func (p *program) deleteTopic() {
	admin := p.admin()
	defer admin.Close()
	job.Must(admin.DeleteTopic(p.Topic))
	job.Eventually("the topic is gone", func() bool {
		topics, err := admin.ListTopics()
		job.Must(err)
		_, found := topics[p.Topic]
		return !found
	})
}

// send sends all messages, which say their partitions, and gives those back with their offsets.
func (p *program) send(config *sarama.Config, messages []*sarama.ProducerMessage) {
	producer, err := sarama.NewAsyncProducer(p.addresses(), config)
	job.Must(err)
	go func() {
		for _, message := range messages {
			producer.Input() <- message
		}
	}()
	for range messages {
		select {
		case <-producer.Successes():
		case problem := <-producer.Errors():
			job.Must(problem)
		case <-time.After(60 * time.Second):
			job.Check(false, "not all messages were acknowledged within 60 s")
		}
	}
	job.Must(producer.Close())
}

func (p *program) sendNumbered(count, partitions int, change func(*sarama.Config)) {
	config := p.config()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	if change != nil {
		change(config)
	}
	messages := make([]*sarama.ProducerMessage, count)
	for number := range messages {
		messages[number] = &sarama.ProducerMessage{
			Topic: p.Topic, Partition: int32(number % partitions), Value: sarama.StringEncoder(p.Value(number)),
		}
	}
	p.send(config, messages)
}

// readFrom gives count messages of the partitions, from the given offset of each.
func (p *program) readFrom(count int, partitions []int32, offset int64, change func(*sarama.Config)) []*sarama.ConsumerMessage {
	config := p.config()
	if change != nil {
		change(config)
	}
	consumer, err := sarama.NewConsumer(p.addresses(), config)
	job.Must(err)
	defer consumer.Close()
	arrived := make(chan *sarama.ConsumerMessage, 100)
	for _, partition := range partitions {
		one, err := consumer.ConsumePartition(p.Topic, partition, offset)
		job.Must(err)
		defer one.AsyncClose()
		go func() {
			for message := range one.Messages() {
				arrived <- message
			}
		}()
	}
	var messages []*sarama.ConsumerMessage
	for deadline := time.After(30 * time.Second); len(messages) < count; {
		select {
		case message := <-arrived:
			messages = append(messages, message)
		case <-deadline:
			job.Check(false, "%d of %d records within 30 s", len(messages), count)
		}
	}
	return messages
}

// readFromStart gives the topic's records, of which there are count and no more.
func (p *program) readFromStart(count, partitions int) []*sarama.ConsumerMessage {
	client := p.client(p.config())
	defer client.Close()
	there := int64(0)
	var filled []int32 // each partition that it subscribes to may cost it a waiting fetch
	for partition := range int32(partitions) {
		count := p.offset(client, partition, sarama.OffsetNewest) - p.offset(client, partition, sarama.OffsetOldest)
		if there += count; count > 0 {
			filled = append(filled, partition)
		}
	}
	job.CheckEqual(there, count, "records in the topic")
	return p.readFrom(count, filled, sarama.OffsetOldest, nil)
}

func (p *program) offset(client sarama.Client, partition int32, at int64) int64 {
	var offset int64
	// A leader may not lead yet when metadata already names it.
	job.Eventually("an offset of the partition", func() bool {
		var err error
		offset, err = client.GetOffset(p.Topic, partition, at)
		if !errors.Is(err, sarama.ErrNotLeaderForPartition) {
			job.Must(err)
		}
		return err == nil
	})
	return offset
}

func main() {
	sarama.Logger = log.New(os.Stderr, "sarama ", log.LstdFlags)
	actions := map[string]func(*program){}
	addScenarios(actions)
	addAdmin(actions)
	addRoles(actions)
	actions["fabric-ordering"] = fabricOrdering
	plain := map[string]func(*job.Job){}
	for name, action := range actions {
		plain[name] = func(j *job.Job) { action(&program{j}) }
	}
	job.Main(plain)
}
