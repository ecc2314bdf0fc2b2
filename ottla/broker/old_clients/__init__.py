"""The conversion of messages, which clients sent and read before Kafka 0.11, to batches and back."""
