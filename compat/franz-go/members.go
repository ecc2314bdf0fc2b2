package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	job "compat/gojob"
)

// member is one consumer of a group, and follows what it owns.
type member struct {
	*program
	client *kgo.Client
	number int // -1: the only one of this process
	lock   sync.Mutex
	owned  map[int32]bool
	paused bool
}

func (m *member) change(topics map[string][]int32, owned bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, partitions := range topics {
		for _, partition := range partitions {
			if owned {
				m.owned[partition] = true
			} else {
				delete(m.owned, partition)
			}
		}
	}
	list := []int32{}
	for partition := range m.owned {
		list = append(list, partition)
	}
	slices.Sort(list)
	job.EmitAssignment(list, m.number)
}

var balancers = map[string]func() kgo.GroupBalancer{
	"eager":       kgo.RangeBalancer,
	"sticky":      kgo.StickyBalancer,
	"cooperative": kgo.CooperativeStickyBalancer,
}

func (p *program) join(number int) *member {
	m := &member{program: p, number: number, owned: map[int32]bool{}}
	lost := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { m.change(partitions, false) }
	heartbeats := 500 * time.Millisecond
	if number >= 0 {
		heartbeats = 3 * time.Second
	}
	settings := []kgo.Opt{
		kgo.ConsumerGroup(p.Group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(balancers[p.Assignor]()),
		kgo.SessionTimeout(time.Duration(p.SessionTimeoutMs) * time.Millisecond),
		kgo.HeartbeatInterval(heartbeats),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.change(partitions, true)
		}),
		kgo.OnPartitionsRevoked(lost),
		kgo.OnPartitionsLost(lost),
		// As the other clients do: no rebalance between a poll and its commit.
		kgo.BlockRebalanceOnPoll(),
	}
	if p.Pattern == "" {
		settings = append(settings, kgo.ConsumeTopics(p.Topic))
	} else {
		settings = append(settings, kgo.ConsumeTopics(p.Pattern), kgo.ConsumeRegex())
	}
	if p.MaxWaitMs > 0 {
		settings = append(settings, kgo.FetchMaxWait(time.Duration(p.MaxWaitMs)*time.Millisecond))
	}
	if p.InstanceID != "" {
		settings = append(settings, kgo.InstanceID(p.InstanceID))
	}
	m.client = p.client(settings...)
	return m
}

func (m *member) run() {
	for m.Running() {
		m.followPauses()
		m.consumeSome()
	}
	m.client.CloseAllowingRebalance()
}

func (m *member) followPauses() {
	if m.paused == m.Paused() {
		return
	}
	m.paused = !m.paused
	if m.paused {
		m.client.PauseFetchTopics(m.Topic)
		job.Emit("paused", map[string]any{})
	} else {
		m.client.ResumeFetchTopics(m.Topic)
		job.Emit("resumed", map[string]any{})
	}
}

func (m *member) consumeSome() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	defer m.client.AllowRebalance()
	fetches := m.client.PollRecords(ctx, 100)
	records := fetches.Records()
	for _, problem := range fetches.Errors() {
		m.meet(problem.Err)
	}
	if len(records) == 0 {
		return
	}
	committed := map[int32]int64{}
	for _, record := range records {
		m.bury(record)
		emitRecord(record)
		committed[record.Partition] = record.Offset + 1
	}
	job.EmitCommit(committed, m.client.CommitRecords(timeout(10), records...))
}

// meet subscribes anew when the topic was deleted and made again: this library leaves that to its users.
func (m *member) meet(err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		return
	}
	job.Emit("poll-error", map[string]any{"error": err.Error()})
	if errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.UnknownTopicOrPartition) {
		m.client.PurgeTopicsFromClient(m.Topic)
		m.client.AddConsumeTopics(m.Topic)
	}
}

// bury sends a record that the program cannot take to the dead letters' topic, if there is one.
func (m *member) bury(record *kgo.Record) {
	if !m.IsPoison(record.Value) {
		return
	}
	letter := &kgo.Record{Topic: m.DeadLetter, Value: record.Value}
	for name, value := range job.Origin(record.Topic, record.Partition, record.Offset) {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	job.Must(m.client.ProduceSync(timeout(20), letter).FirstErr())
}

func oneMember(p *program) {
	p.Listen()
	p.join(-1).run()
}

func crowd(p *program) {
	p.Listen()
	var all sync.WaitGroup
	for number := range p.Members {
		all.Go(p.join(number).run)
	}
	all.Wait()
}
