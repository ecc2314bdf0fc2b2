"""The bench: measures Ottla beside Apache Kafka, with the same clients on the same machine."""
