//go:build !older

package main

import "github.com/IBM/sarama"

// What the library's public interface calls differently in different versions; here as in 1.61.

func adapt(*sarama.Config) {}

func setStrategy(config *sarama.Config, assignor string) {
	strategy := sarama.NewBalanceStrategyRange()
	switch assignor {
	case "sticky":
		strategy = sarama.NewBalanceStrategySticky()
	case "cooperative":
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
}

func setInstance(config *sarama.Config, id string) {
	config.Consumer.Group.InstanceId = id
}

func pause(group sarama.ConsumerGroup, paused bool) {
	if paused {
		group.PauseAll()
	} else {
		group.ResumeAll()
	}
}
