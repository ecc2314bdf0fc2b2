package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

// member is one consumer of a group; it owns the partitions whose claims run.
type member struct {
	*program
	group   sarama.ConsumerGroup
	letters sarama.SyncProducer
	number  int // -1: the only one of this process
	taken   atomic.Int64
	lock    sync.Mutex
	owned   []int32
}

func (p *program) join(number int) *member {
	config := p.config()
	setStrategy(config, p.Assignor)
	config.Consumer.Group.Session.Timeout = milliseconds(p.SessionTimeoutMs)
	config.Consumer.Group.Heartbeat.Interval = milliseconds(500)
	if number >= 0 {
		config.Consumer.Group.Heartbeat.Interval = milliseconds(3000)
	}
	if p.InstanceID != "" {
		setInstance(config, p.InstanceID)
	}
	if p.MaxWaitMs > 0 {
		config.Consumer.MaxWaitTime = milliseconds(p.MaxWaitMs)
		config.Net.ReadTimeout = 2 * milliseconds(p.MaxWaitMs)
	}
	m := &member{program: p, number: number}
	var err error
	m.group, err = sarama.NewConsumerGroup(p.addresses(), p.Group, config)
	job.Must(err)
	if p.DeadLetter != "" {
		m.letters, err = sarama.NewSyncProducer(p.addresses(), p.config())
		job.Must(err)
	}
	return m
}

// Setup runs before all claims of an eager session, and before the first ones of a cooperative member.
func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.owned = slices.Sorted(slices.Values(session.Claims()[m.Topic]))
	job.EmitAssignment(m.owned, m.number)
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) change(partition int32, owned bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if slices.Contains(m.owned, partition) == owned {
		return
	}
	m.owned = slices.DeleteFunc(m.owned, func(one int32) bool { return one == partition })
	if owned {
		m.owned = append(m.owned, partition)
		slices.Sort(m.owned)
	}
	job.EmitAssignment(m.owned, m.number)
}

// ConsumeClaim runs for each partition that the member owns.
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.change(claim.Partition(), true)
	defer m.change(claim.Partition(), false)
	for message := range claim.Messages() {
		last := message
		m.take(message)
		for waiting := true; waiting; {
			select {
			case more, open := <-claim.Messages():
				if waiting = open; open {
					m.take(more)
					last = more
				}
			default:
				waiting = false
			}
		}
		session.MarkMessage(last, "")
		// Fetches and commits share its connection: behind a fetch that waits 30 s, a commit would wait as long.
		if m.MaxWaitMs == 0 {
			m.commit(session, last)
		}
	}
	return nil
}

func (m *member) take(message *sarama.ConsumerMessage) {
	if m.IsPoison(message.Value) {
		letter := &sarama.ProducerMessage{Topic: m.DeadLetter, Value: sarama.ByteEncoder(message.Value)}
		for name, value := range job.Origin(message.Topic, message.Partition, message.Offset) {
			letter.Headers = append(letter.Headers, sarama.RecordHeader{Key: []byte(name), Value: []byte(value)})
		}
		_, _, err := m.letters.SendMessage(letter)
		job.Must(err)
	}
	emitMessage(message)
	m.taken.Add(1)
}

// commit says what it committed; the library reports a refusal only by its channel of errors.
func (m *member) commit(session sarama.ConsumerGroupSession, last *sarama.ConsumerMessage) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.takeErrors()
	session.Commit()
	job.EmitCommit(map[int32]int64{last.Partition: last.Offset + 1}, m.takeErrors())
}

func (m *member) takeErrors() error {
	var all []error
	for {
		select {
		case err, open := <-m.group.Errors():
			if !open {
				return errors.Join(all...)
			}
			all = append(all, err)
		default:
			return errors.Join(all...)
		}
	}
}

func (m *member) run() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		paused := false
		for ticks := time.NewTicker(milliseconds(100)); ; {
			select {
			case <-m.Stopped:
				cancel()
				return
			case <-ticks.C:
				if paused != m.Paused() {
					paused = m.Paused()
					pause(m.group, paused)
					job.Emit(map[bool]string{true: "paused", false: "resumed"}[paused], nil)
				}
			}
		}
	}()
	for ctx.Err() == nil {
		if err := m.group.Consume(ctx, []string{m.Topic}, m); err != nil && ctx.Err() == nil {
			job.Emit("poll-error", map[string]any{"error": err.Error()})
			time.Sleep(milliseconds(200))
		}
	}
	_ = m.group.Close()
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
