package main

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func addRoles(actions map[string]func(*program)) {
	actions["create"] = func(p *program) { p.createTopic(p.Partitions, nil) }
	actions["producer"] = producer
	actions["member"] = member
	actions["read"] = read
}

func producer(p *program) {
	p.listen()
	client := p.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ticks := time.NewTicker(time.Second / time.Duration(p.Rate))
	defer ticks.Stop()
	sent := 0
	for running := true; running; {
		select {
		case <-p.stopped:
			running = false
		case <-ticks.C:
			value := fmt.Sprint(sent)
			record := &kgo.Record{Topic: p.Topic, Partition: int32(sent % p.Partitions), Value: []byte(value)}
			client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
				if err != nil {
					emit("refused", map[string]any{"error": err.Error()})
					return
				}
				emit("acked", map[string]any{"partition": record.Partition, "offset": record.Offset, "value": value})
			})
			sent++
		}
	}
	must(client.Flush(timeout(50)))
	client.Close()
	emit("done", map[string]any{"sent": sent})
}

// ownership follows the callbacks of a group's member.
type ownership struct {
	lock  sync.Mutex
	owned map[int32]bool
}

func (o *ownership) change(topics map[string][]int32, owned bool) {
	o.lock.Lock()
	defer o.lock.Unlock()
	for _, partitions := range topics {
		for _, partition := range partitions {
			if owned {
				o.owned[partition] = true
			} else {
				delete(o.owned, partition)
			}
		}
	}
	list := []int{}
	for partition := range o.owned {
		list = append(list, int(partition))
	}
	sort.Ints(list)
	emit("assignment", map[string]any{"partitions": list})
}

func member(p *program) {
	p.listen()
	var balancer kgo.GroupBalancer = kgo.RangeBalancer()
	if p.Assignor == "cooperative" {
		balancer = kgo.CooperativeStickyBalancer()
	}
	owned := &ownership{owned: map[int32]bool{}}
	lost := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { owned.change(partitions, false) }
	settings := []kgo.Opt{
		kgo.ConsumerGroup(p.Group),
		kgo.ConsumeTopics(p.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(balancer),
		kgo.SessionTimeout(time.Duration(p.SessionTimeoutMs) * time.Millisecond),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			owned.change(partitions, true)
		}),
		kgo.OnPartitionsRevoked(lost),
		kgo.OnPartitionsLost(lost),
		// As the other clients do: no rebalance between a poll and its commit.
		kgo.BlockRebalanceOnPoll(),
	}
	if p.InstanceID != "" {
		settings = append(settings, kgo.InstanceID(p.InstanceID))
	}
	client := p.client(settings...)
	for running := true; running; {
		select {
		case <-p.stopped:
			running = false
		default:
			consumeSome(client)
		}
	}
	client.CloseAllowingRebalance()
}

func consumeSome(client *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	defer client.AllowRebalance()
	records := client.PollRecords(ctx, 100).Records()
	if len(records) == 0 {
		return
	}
	committed := map[string]int64{}
	for _, record := range records {
		emit("record", map[string]any{"partition": record.Partition, "offset": record.Offset, "value": string(record.Value)})
		committed[fmt.Sprint(record.Partition)] = record.Offset + 1
	}
	if err := client.CommitRecords(timeout(10), records...); err != nil {
		emit("not-committed", map[string]any{"error": err.Error()})
		return
	}
	emit("committed", map[string]any{"offsets": committed})
}

func read(p *program) {
	admin := p.admin()
	ends, err := admin.ListEndOffsets(timeout(20), p.Topic)
	must(err)
	starts, err := admin.ListStartOffsets(timeout(20), p.Topic)
	must(err)
	count := int64(0)
	ends.Each(func(offset kadm.ListedOffset) { count += offset.Offset })
	starts.Each(func(offset kadm.ListedOffset) { count -= offset.Offset })
	admin.Close()
	for _, record := range p.readFromStart(int(count), p.Partitions) {
		emit("record", map[string]any{"partition": record.Partition, "offset": record.Offset, "value": string(record.Value)})
	}
}
