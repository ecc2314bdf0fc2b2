"""The versions that clients are told of: releases of Apache Kafka, and features of the cluster."""
