"""The group coordinator: ``__consumer_offsets``, groups and their committed offsets."""
