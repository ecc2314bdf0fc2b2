"""The coordinators of groups and offsets: requests in, records and answers out. No trio, no sockets."""
