// Command program runs segmentio/kafka-go's scenarios and roles for compat/run.
package main

import (
	"context"
	"net"
	"time"

	"github.com/segmentio/kafka-go"

	job "compat/gojob"
)

// program is one run of one scenario or role.
type program struct {
	*job.Job
	client *kafka.Client
}

func newProgram(j *job.Job) *program {
	address, err := net.ResolveTCPAddr("tcp", j.Bootstrap)
	job.Must(err)
	ttl := time.Second
	if j.MetadataMaxAgeMs > 0 {
		ttl = milliseconds(j.MetadataMaxAgeMs)
	}
	transport := &kafka.Transport{MetadataTTL: ttl}
	return &program{j, &kafka.Client{Addr: address, Timeout: 30 * time.Second, Transport: transport}}
}

func milliseconds(count int) time.Duration { return time.Duration(count) * time.Millisecond }

// timeout is a context that ends by itself; a scenario is too short to cancel it.
func timeout(seconds int) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	_ = cancel
	return ctx
}

func (p *program) topic() (kafka.Topic, bool) {
	answer, err := p.client.Metadata(timeout(10), &kafka.MetadataRequest{Topics: nil})
	if err != nil {
		return kafka.Topic{}, false
	}
	for _, topic := range answer.Topics {
		if topic.Name == p.Topic && topic.Error == nil {
			return topic, true
		}
	}
	return kafka.Topic{}, false
}

func (p *program) tryToCreate(partitions int, configs map[string]*string) error {
	config := kafka.TopicConfig{Topic: p.Topic, NumPartitions: partitions, ReplicationFactor: 1}
	for name, value := range configs {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: *value})
	}
	answer, err := p.client.CreateTopics(timeout(30), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	job.Must(err)
	return answer.Errors[p.Topic]
}

func (p *program) createTopic(partitions int, configs map[string]*string) {
	job.Must(p.tryToCreate(partitions, configs))
	job.Eventually("the new topic is visible", func() bool {
		topic, found := p.topic()
		if !found || len(topic.Partitions) != partitions {
			return false
		}
		for _, partition := range topic.Partitions {
			if partition.Error != nil || partition.Leader.Port == 0 {
				return false
			}
		}
		return true
	})
}

func (p *program) deleteTopic() {
	answer, err := p.client.DeleteTopics(timeout(30), &kafka.DeleteTopicsRequest{Topics: []string{p.Topic}})
	job.Must(err)
	job.Must(answer.Errors[p.Topic])
	job.Eventually("the topic is gone", func() bool {
		_, found := p.topic()
		return !found
	})
}

// chosen is the balancer for messages that say their partition themselves, as their WriterData.
var chosen = kafka.BalancerFunc(func(message kafka.Message, _ ...int) int { return message.WriterData.(int) })

func (p *program) writer(balancer kafka.Balancer) *kafka.Writer {
	return &kafka.Writer{
		Addr: p.client.Addr, Topic: p.Topic, Transport: p.client.Transport, Balancer: balancer,
		RequiredAcks: kafka.RequireAll, BatchTimeout: milliseconds(5), MaxAttempts: 100,
		WriteBackoffMin: milliseconds(100), WriteBackoffMax: milliseconds(300),
	}
}

func (p *program) sendNumbered(count, partitions int, change func(*kafka.Writer)) {
	writer := p.writer(chosen)
	defer writer.Close()
	if change != nil {
		change(writer)
	}
	messages := make([]kafka.Message, count)
	for number := range messages {
		messages[number] = kafka.Message{Value: []byte(p.Value(number)), WriterData: number % partitions}
	}
	job.Must(writer.WriteMessages(timeout(30), messages...))
}

func (p *program) offsets(partitions []int32) map[int]kafka.PartitionOffsets {
	var requests []kafka.OffsetRequest
	for _, partition := range partitions {
		requests = append(requests, kafka.FirstOffsetOf(int(partition)), kafka.LastOffsetOf(int(partition)))
	}
	offsets := map[int]kafka.PartitionOffsets{}
	// What it knows of a new topic's leaders may be old; trying again is left to the library's users.
	job.Eventually("the offsets are known", func() bool {
		answer, err := p.client.ListOffsets(timeout(20), &kafka.ListOffsetsRequest{
			Topics: map[string][]kafka.OffsetRequest{p.Topic: requests},
		})
		if err != nil {
			return false
		}
		for _, one := range answer.Topics[p.Topic] {
			if one.Error == nil {
				offsets[one.Partition] = one
			}
		}
		return len(offsets) == len(partitions)
	})
	return offsets
}

func (p *program) reader(partition int) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{p.Bootstrap}, Topic: p.Topic, Partition: partition, MinBytes: 1, MaxBytes: twelveMegabytes,
		MaxWait: milliseconds(500), ReadBackoffMax: milliseconds(200),
	})
}

// readAll gives all that is in the partitions now.
func (p *program) readAll(partitions []int32) []kafka.Message {
	var messages []kafka.Message
	for partition, ends := range p.offsets(partitions) {
		if ends.FirstOffset == ends.LastOffset {
			continue
		}
		reader := p.reader(partition)
		job.Must(reader.SetOffset(ends.FirstOffset))
		for next := ends.FirstOffset; next < ends.LastOffset; {
			message, err := reader.FetchMessage(timeout(30))
			job.Must(err)
			next = message.Offset + 1
			messages = append(messages, message)
		}
		job.Must(reader.Close())
	}
	return messages
}

func numbers(count int) []int32 {
	list := make([]int32, count)
	for number := range list {
		list[number] = int32(number)
	}
	return list
}

// readFromStart gives the topic's records, of which there are count and no more.
func (p *program) readFromStart(count, partitions int) []kafka.Message {
	messages := p.readAll(numbers(partitions))
	job.CheckEqual(len(messages), count, "records read")
	return messages
}

func main() {
	actions := map[string]func(*program){}
	addScenarios(actions)
	addAdmin(actions)
	addRoles(actions)
	plain := map[string]func(*job.Job){}
	for name, action := range actions {
		plain[name] = func(j *job.Job) { action(newProgram(j)) }
	}
	job.Main(plain)
}
