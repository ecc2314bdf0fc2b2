"""Records what stock clients and Apache Kafka say to each other, as test data for Ottla's codecs."""
