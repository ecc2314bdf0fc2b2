"""Decisions about groups and offsets: input in, records and answers out. No trio, no sockets."""
