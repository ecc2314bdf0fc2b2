"""Kafka's settings: tables, values, checks. Knows no cluster."""
