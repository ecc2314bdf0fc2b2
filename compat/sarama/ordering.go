package main

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

// An ordering service as Fabric builds it on Kafka: every orderer posts envelopes to one partition and reads it back.
// A block is cut after a number of envelopes, or by a time-to-cut message that names its number. Each orderer posts
// one when its timer ends; the first in the partition cuts, the others come too late and count for nothing.

const (
	blockSize   = 10
	blockTime   = 300 * time.Millisecond
	envelopes   = 205
	orderers    = 3
	retireAfter = 8 // blocks, after which one orderer restarts
)

// entry is what stands in the partition.
type entry struct {
	Kind    string `json:"kind"` // connect, envelope, time-to-cut
	Payload string `json:"payload,omitempty"`
	Block   int    `json:"block,omitempty"`
}

// block is what an orderer cuts; next is the offset from which a restarted orderer reads on.
type block struct {
	Envelopes []string
	ByTime    bool
	next      int64
}

type orderer struct {
	*program
	producer sarama.SyncProducer
	lock     sync.Mutex
	chain    []block
}

func (p *program) newOrderer() *orderer {
	config := p.config()
	config.Producer.MaxMessageBytes = 1 << 20
	config.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(p.addresses(), config)
	job.Must(err)
	o := &orderer{program: p, producer: producer}
	o.post(entry{Kind: "connect"})
	return o
}

func (o *orderer) post(one entry) {
	text, err := json.Marshal(one)
	job.Must(err)
	_, _, err = o.producer.SendMessage(&sarama.ProducerMessage{Topic: o.Topic, Value: sarama.ByteEncoder(text)})
	job.Must(err)
}

func (o *orderer) height() int {
	o.lock.Lock()
	defer o.lock.Unlock()
	return len(o.chain)
}

func (o *orderer) cut(one block) {
	o.lock.Lock()
	defer o.lock.Unlock()
	o.chain = append(o.chain, one)
}

// run reads the partition from the end of the chain and cuts blocks, until there are `height` or stopped is closed.
func (o *orderer) run(height int, stopped chan struct{}) {
	from := sarama.OffsetOldest
	if blocks := len(o.chain); blocks > 0 {
		from = o.chain[blocks-1].next
	}
	consumer, err := sarama.NewConsumer(o.addresses(), o.config())
	job.Must(err)
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(o.Topic, 0, from)
	job.Must(err)
	defer partition.AsyncClose()
	var pending []string
	timer := time.NewTimer(time.Hour)
	for o.height() < height {
		select {
		case <-stopped:
			return
		case <-timer.C:
			o.post(entry{Kind: "time-to-cut", Block: len(o.chain) + 1})
		case message := <-partition.Messages():
			var one entry
			job.Must(json.Unmarshal(message.Value, &one))
			switch one.Kind {
			case "envelope":
				if pending = append(pending, one.Payload); len(pending) == 1 {
					timer.Reset(blockTime)
				}
				if len(pending) == blockSize {
					o.cut(block{Envelopes: pending, next: message.Offset + 1})
					pending = nil
					timer.Stop()
				}
			case "time-to-cut":
				if one.Block == len(o.chain)+1 && len(pending) > 0 {
					o.cut(block{Envelopes: pending, ByTime: true, next: message.Offset + 1})
					pending = nil
					timer.Stop()
				}
			}
		}
	}
}

func fabricOrdering(p *program) {
	p.createTopic(1, nil)
	service := make([]*orderer, orderers)
	stopped := make(chan struct{})
	retired := make(chan struct{})
	var first, all sync.WaitGroup
	for number := range service {
		service[number] = p.newOrderer()
		if number == 0 {
			first.Go(func() { service[0].run(retireAfter, retired) })
		} else {
			all.Go(func() { service[number].run(1<<30, stopped) })
		}
	}
	for number := range envelopes {
		service[1+number%(orderers-1)].post(entry{Kind: "envelope", Payload: fmt.Sprint(number)})
		if number == envelopes/2 {
			time.Sleep(2 * blockTime) // what is pending is cut by time
		}
	}
	first.Wait()
	all.Go(func() { service[0].run(1<<30, stopped) }) // it reads on where its chain ends
	counted := func(o *orderer) (count int, byTime bool) {
		o.lock.Lock()
		defer o.lock.Unlock()
		for _, one := range o.chain {
			count += len(one.Envelopes)
			byTime = byTime || one.ByTime
		}
		return count, byTime
	}
	job.Eventually("all orderers have cut all envelopes into blocks", func() bool {
		for _, one := range service {
			if count, _ := counted(one); count < envelopes {
				return false
			}
		}
		return true
	})
	close(stopped)
	all.Wait()
	seen := map[string]bool{}
	for _, one := range service[0].chain {
		for _, envelope := range one.Envelopes {
			job.Check(!seen[envelope], "envelope %s is in two blocks", envelope)
			seen[envelope] = true
		}
	}
	job.CheckEqual(len(seen), envelopes, "envelopes in the chain")
	_, byTime := counted(service[0])
	job.Check(byTime, "no block was cut by time")
	job.Check(len(service[0].chain[0].Envelopes) == blockSize, "the first block is not full")
	for _, one := range service[1:] {
		job.CheckEqual(one.chain, service[0].chain, "chain")
	}
}
