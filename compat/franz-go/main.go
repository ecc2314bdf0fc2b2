// Command program runs franz-go's scenarios and roles for compat/run.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	job "compat/gojob"
)

// program is one run of one scenario or role.
type program struct{ *job.Job }

func (p *program) client(more ...kgo.Opt) *kgo.Client {
	settings := []kgo.Opt{
		kgo.SeedBrokers(p.Bootstrap),
		// Its default of 5 s would only make the scenarios wait.
		kgo.MetadataMinAge(200 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 200 * time.Millisecond }),
	}
	if p.MetadataMaxAgeMs > 0 {
		settings = append(settings, kgo.MetadataMaxAge(time.Duration(p.MetadataMaxAgeMs)*time.Millisecond))
	}
	client, err := kgo.NewClient(append(settings, more...)...)
	job.Must(err)
	return client
}

func (p *program) admin() *kadm.Client {
	return kadm.NewClient(p.client())
}

func (p *program) createTopic(partitions int, configs map[string]*string) {
	admin := p.admin()
	defer admin.Close()
	_, err := admin.CreateTopic(timeout(30), int32(partitions), 1, configs, p.Topic)
	job.Must(err)
	job.Eventually("the new topic is visible", func() bool {
		details, err := admin.ListTopics(timeout(5), p.Topic)
		if err != nil || details[p.Topic].Err != nil || len(details[p.Topic].Partitions) != partitions {
			return false
		}
		for _, partition := range details[p.Topic].Partitions {
			if partition.Leader < 0 {
				return false
			}
		}
		return true
	})
}

// timeout is a context that ends by itself; a scenario is too short to cancel it.
func timeout(seconds int) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	_ = cancel
	return ctx
}

func (p *program) sendNumbered(count, partitions int, more ...kgo.Opt) {
	client := p.client(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, more...)...)
	defer client.Close()
	records := make([]*kgo.Record, count)
	for number := range records {
		records[number] = &kgo.Record{
			Topic: p.Topic, Partition: int32(number % partitions), Value: []byte(fmt.Sprint(number)),
		}
	}
	job.Must(client.ProduceSync(timeout(30), records...).FirstErr())
}

func pollUntil(client *kgo.Client, count int) []*kgo.Record {
	var records []*kgo.Record
	for ctx := timeout(30); len(records) < count; {
		fetches := client.PollFetches(ctx)
		job.Check(ctx.Err() == nil, "%d of %d records within 30 s", len(records), count)
		job.Must(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

func (p *program) assigned(partitions int, offset kgo.Offset) kgo.Opt {
	assignment := map[int32]kgo.Offset{}
	for partition := range partitions {
		assignment[int32(partition)] = offset
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: assignment})
}

// readFromStart gives the topic's records, of which there are count and no more.
func (p *program) readFromStart(count, partitions int, more ...kgo.Opt) []*kgo.Record {
	client := p.client(append(more, p.assigned(partitions, kgo.NewOffset().AtStart()))...)
	defer client.Close()
	records := pollUntil(client, count)
	rest, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	records = append(records, client.PollFetches(rest).Records()...)
	job.CheckEqual(len(records), count, "records read")
	return records
}

func main() {
	actions := map[string]func(*program){}
	addScenarios(actions)
	addAdmin(actions)
	addRoles(actions)
	plain := map[string]func(*job.Job){}
	for name, action := range actions {
		plain[name] = func(j *job.Job) { action(&program{j}) }
	}
	job.Main(plain)
}
