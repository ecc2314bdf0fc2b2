//go:build older

package main

import (
	"time"

	"github.com/IBM/sarama"

	job "compat/gojob"
)

// What the library's public interface calls differently in different versions; here as in 1.30.

// Without a retention it commits by OffsetCommit 1, which Apache 4 has removed.
func adapt(config *sarama.Config) { config.Consumer.Offsets.Retention = 24 * time.Hour }

func setStrategy(config *sarama.Config, assignor string) {
	config.Consumer.Group.Rebalance.Strategy = sarama.BalanceStrategyRange
	if assignor == "sticky" {
		config.Consumer.Group.Rebalance.Strategy = sarama.BalanceStrategySticky
	}
}

func setInstance(*sarama.Config, string) { job.Check(false, "it has no static members") }

func pause(sarama.ConsumerGroup, bool) { job.Check(false, "its groups cannot pause") }
