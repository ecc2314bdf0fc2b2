"""All that the broker knows of messages, which clients sent and read before Kafka 0.11."""
