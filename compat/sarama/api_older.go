//go:build older

package main

import (
	"github.com/IBM/sarama"

	job "compat/gojob"
)

// What the library's public interface calls differently in different versions; here as in 1.30.

// What it says as to newer brokers about a group's offsets is not understood, by Apache neither.
var protocol = sarama.V2_3_0_0

func setStrategy(config *sarama.Config, assignor string) {
	config.Consumer.Group.Rebalance.Strategy = sarama.BalanceStrategyRange
	if assignor == "sticky" {
		config.Consumer.Group.Rebalance.Strategy = sarama.BalanceStrategySticky
	}
}

func setInstance(*sarama.Config, string) { job.Check(false, "it has no static members") }

func pause(sarama.ConsumerGroup, bool) { job.Check(false, "its groups cannot pause") }
