// Command program runs franz-go's scenarios and roles for compat/run.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// options are what the harness asks for.
type options struct {
	Topic            string `json:"topic"`
	Group            string `json:"group"`
	Partitions       int    `json:"partitions"`
	Rate             int    `json:"rate"`
	Records          int    `json:"records"`
	ValueBytes       int    `json:"value_bytes"`
	Assignor         string `json:"assignor"`
	InstanceID       string `json:"instance_id"`
	SessionTimeoutMs int    `json:"session_timeout_ms"`
}

// program is one run of one scenario or role.
type program struct {
	options
	role      string
	bootstrap string
	stopped   chan struct{}
}

// failure ends a scenario; main reports it.
type failure struct{ error }

func check(condition bool, format string, values ...any) {
	if !condition {
		panic(failure{fmt.Errorf(format, values...)})
	}
}

func must(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func checkEqual(actual, expected any, what string) {
	check(fmt.Sprint(actual) == fmt.Sprint(expected), "%s: %v, expected %v", what, actual, expected)
}

func eventually(what string, holds func() bool) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	check(false, "%s: not within 20 s", what)
}

var output sync.Mutex

func emit(event string, fields map[string]any) {
	fields["event"] = event
	line, err := json.Marshal(fields)
	must(err)
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}

// listen closes stopped when the harness says stop, or is gone.
func (p *program) listen() {
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if strings.TrimSpace(lines.Text()) == "stop" {
				break
			}
		}
		close(p.stopped)
	}()
}

func (p *program) client(more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.bootstrap),
		// Its default of 5 s would only make the scenarios wait.
		kgo.MetadataMinAge(200 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 200 * time.Millisecond }),
	}, more...)...)
	must(err)
	return client
}

func (p *program) admin() *kadm.Client {
	return kadm.NewClient(p.client())
}

func (p *program) createTopic(partitions int, configs map[string]*string) {
	admin := p.admin()
	defer admin.Close()
	_, err := admin.CreateTopic(timeout(30), int32(partitions), 1, configs, p.Topic)
	must(err)
	eventually("the new topic is visible", func() bool {
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
	must(client.ProduceSync(timeout(30), records...).FirstErr())
}

func pollUntil(client *kgo.Client, count int) []*kgo.Record {
	var records []*kgo.Record
	for ctx := timeout(30); len(records) < count; {
		fetches := client.PollFetches(ctx)
		check(ctx.Err() == nil, "%d of %d records within 30 s", len(records), count)
		must(fetches.Err())
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
	checkEqual(len(records), count, "records read")
	return records
}

func (p *program) run(actions map[string]func(*program)) (err error) {
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case failure:
			err = problem.error
		default:
			panic(problem)
		}
	}()
	action, known := actions[p.role]
	check(known, "the program has no scenario %s", p.role)
	action(p)
	return nil
}

func main() {
	p := &program{role: os.Args[1], bootstrap: os.Args[2], stopped: make(chan struct{})}
	p.options = options{Topic: p.role, Group: "group-" + p.role, Partitions: 1, Rate: 100, Records: 100, ValueBytes: 1000, SessionTimeoutMs: 6000}
	if given := os.Getenv("COMPAT_OPTIONS"); given != "" {
		must(json.Unmarshal([]byte(given), &p.options))
	}
	actions := map[string]func(*program){}
	addScenarios(actions)
	addAdmin(actions)
	addRoles(actions)
	started := time.Now()
	err := p.run(actions)
	result := map[string]any{"scenario": p.role, "passed": err == nil, "seconds": time.Since(started).Seconds()}
	if err != nil {
		result["error"] = err.Error()
	}
	emit("result", result)
	if err != nil {
		os.Exit(1)
	}
}
