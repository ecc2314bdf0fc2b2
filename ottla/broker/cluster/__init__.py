"""The nodes of a cluster: which of them leads a partition, and which hold its replicas."""
