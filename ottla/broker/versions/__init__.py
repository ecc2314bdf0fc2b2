"""What clients are told is served: releases of Apache Kafka, and features of the cluster."""
