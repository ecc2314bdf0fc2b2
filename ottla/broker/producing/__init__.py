"""The way of a batch to its log: checks it, appends it, answers. Knows requests, but no sockets."""
