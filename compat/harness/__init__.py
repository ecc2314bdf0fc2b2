"""Runs stock clients' scenarios against Apache Kafka and Ottla, and compares the results."""
