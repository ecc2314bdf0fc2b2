// Package job is the program's side of the harness' protocol, for clients in Go: options, events, checks, results.
package job

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what the harness asks for.
type Options struct {
	Topic            string             `json:"topic"`
	Group            string             `json:"group"`
	Partitions       int                `json:"partitions"`
	Only             []int32            `json:"only"`
	Configs          map[string]*string `json:"configs"`
	Offsets          map[int32]int64    `json:"offsets"`
	Rate             float64            `json:"rate"`
	Padding          string             `json:"padding"`
	Partitioner      string             `json:"partitioner"`
	Records          int                `json:"records"`
	ValueBytes       int                `json:"value_bytes"`
	Assignor         string             `json:"assignor"`
	InstanceID       string             `json:"instance_id"`
	SessionTimeoutMs int                `json:"session_timeout_ms"`
	MetadataMaxAgeMs int                `json:"metadata_max_age_ms"`
	MaxWaitMs        int                `json:"max_wait_ms"`
	Pattern          string             `json:"pattern"`
	DeadLetter       string             `json:"dead_letter"`
	Members          int                `json:"members"`
}

// Job is one run of one scenario or role.
type Job struct {
	Options
	Role      string
	Bootstrap string
	// Stopped is closed when the harness says stop, or is gone.
	Stopped        chan struct{}
	paused         atomic.Bool
	partitionsUsed atomic.Int64
}

// failure ends a scenario; Main reports it.
type failure struct{ error }

// Check fails the scenario unless condition holds.
func Check(condition bool, format string, values ...any) {
	if !condition {
		panic(failure{fmt.Errorf(format, values...)})
	}
}

// Must fails the scenario with err, if there is one.
func Must(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// CheckEqual fails the scenario unless both print alike.
func CheckEqual(actual, expected any, what string) {
	Check(fmt.Sprint(actual) == fmt.Sprint(expected), "%s: %v, expected %v", what, actual, expected)
}

// Eventually waits up to 20 s for holds.
func Eventually(what string, holds func() bool) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	Check(false, "%s: not within 20 s", what)
}

var output sync.Mutex

// Emit writes one event line.
func Emit(event string, fields map[string]any) {
	line := map[string]any{"event": event}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	Must(err)
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(text))
}

// EmitRecord writes the event of a record that was read.
func EmitRecord(topic string, partition int32, offset int64, value []byte, headers map[string]string) {
	Emit("record", map[string]any{
		"topic": topic, "partition": partition, "offset": offset, "value": string(value), "headers": headers,
	})
}

// EmitCommit writes how a commit of the given next offsets ended.
func EmitCommit(offsets map[int32]int64, err error) {
	if err != nil {
		Emit("not-committed", map[string]any{"error": err.Error()})
	} else {
		Emit("committed", map[string]any{"offsets": offsets})
	}
}

// EmitAssignment writes what a member owns; number: which of a crowd, or -1.
func EmitAssignment(partitions []int32, number int) {
	if partitions == nil {
		partitions = []int32{}
	}
	fields := map[string]any{"partitions": partitions}
	if number >= 0 {
		fields["member"] = number
	}
	Emit("assignment", fields)
}

// EmitProduced writes how the sending of one record ended.
func EmitProduced(partition int32, offset int64, value string, err error) {
	if err != nil {
		Emit("refused", map[string]any{"error": err.Error()})
	} else {
		Emit("acked", map[string]any{"partition": partition, "offset": offset, "value": value})
	}
}

// Listen follows what the harness says from now on.
func (j *Job) Listen() {
	go func() {
		defer close(j.Stopped)
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			var count int64
			switch line := strings.TrimSpace(lines.Text()); {
			case line == "stop":
				return
			case line == "pause" || line == "resume":
				j.paused.Store(line == "pause")
			default:
				if _, err := fmt.Sscanf(line, "partitions %d", &count); err == nil {
					j.partitionsUsed.Store(count)
				}
			}
		}
	}()
}

// Paused tells whether the harness wants members to pause.
func (j *Job) Paused() bool { return j.paused.Load() }

// PartitionsUsed is how many partitions a producer spreads its records over.
func (j *Job) PartitionsUsed() int { return int(j.partitionsUsed.Load()) }

// Running tells whether the harness has not said stop yet.
func (j *Job) Running() bool {
	select {
	case <-j.Stopped:
		return false
	default:
		return true
	}
}

// Value is the value of a producer's record: its number, and the padding that is asked for.
func (j *Job) Value(number int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", number, j.Padding))
}

// Paced calls send with 0, 1, 2, ... at the wanted rate until the harness says stop; how often it did.
func (j *Job) Paced(send func(number int)) int {
	ticks := time.NewTicker(time.Duration(float64(time.Second) / j.Rate))
	defer ticks.Stop()
	for sent := 0; ; sent++ {
		select {
		case <-j.Stopped:
			return sent
		case <-ticks.C:
			send(sent)
		}
	}
}

// WantedPartitions are those that read has to read.
func (j *Job) WantedPartitions() []int32 {
	if j.Only != nil {
		return j.Only
	}
	all := make([]int32, j.Partitions)
	for number := range all {
		all[number] = int32(number)
	}
	return all
}

// IsPoison tells whether a member has to send this value to the dead letters.
func (j *Job) IsPoison(value []byte) bool {
	return j.DeadLetter != "" && strings.HasSuffix(string(value), "7")
}

// Origin is what a dead letter's headers say.
func Origin(topic string, partition int32, offset int64) map[string]string {
	return map[string]string{"topic": topic, "partition": fmt.Sprint(partition), "offset": fmt.Sprint(offset)}
}

// Record is one of those that the produce scenarios send.
type Record struct {
	Key, Value []byte
	Headers    [][2]string
	Timestamp  time.Time
}

// Start is in the past, but not so far that retention would remove the records.
var Start = time.UnixMilli(time.Now().UnixMilli() - 3_600_000)

// ExpectedRecords have key, value, headers, timestamp: one without key, one without value, some without headers.
func (j *Job) ExpectedRecords() []Record {
	records := make([]Record, j.Records)
	filling := strings.Repeat("abcdefgh", j.ValueBytes/8)
	for number := range records {
		records[number] = Record{
			Key:       []byte(fmt.Sprintf("key-%d", number%10)),
			Value:     []byte(fmt.Sprintf("value-%d-%s", number, filling)),
			Timestamp: Start.Add(time.Duration(number) * time.Millisecond),
		}
		if number%3 > 0 {
			records[number].Headers = [][2]string{{"number", fmt.Sprint(number)}, {"empty", ""}, {"number", "again"}}
		}
	}
	records[1].Key = nil
	records[2].Value = nil
	return records
}

func (j *Job) run(actions map[string]func(*Job)) (err error) {
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case failure:
			err = problem.error
		default:
			panic(problem)
		}
	}()
	action, known := actions[j.Role]
	if !known {
		return errors.New("the program has no scenario " + j.Role)
	}
	action(j)
	return nil
}

// Main runs what the command line names and reports how it ended.
func Main(actions map[string]func(*Job)) {
	j := &Job{Role: os.Args[1], Bootstrap: os.Args[2], Stopped: make(chan struct{})}
	j.Options = Options{
		Topic: j.Role, Group: "group-" + j.Role, Partitions: 1, Rate: 100, Records: 100, ValueBytes: 1000,
		Assignor: "eager", SessionTimeoutMs: 6000,
	}
	if given := os.Getenv("COMPAT_OPTIONS"); given != "" {
		Must(json.Unmarshal([]byte(given), &j.Options))
	}
	j.partitionsUsed.Store(int64(j.Partitions))
	started := time.Now()
	err := j.run(actions)
	result := map[string]any{"scenario": j.Role, "passed": err == nil, "seconds": time.Since(started).Seconds()}
	if err != nil {
		result["error"] = err.Error()
	}
	Emit("result", result)
	if err != nil {
		os.Exit(1)
	}
}
