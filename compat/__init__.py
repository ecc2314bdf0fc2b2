"""The tests of stock Kafka clients against Ottla and Apache Kafka; see README.md."""
