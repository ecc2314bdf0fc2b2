"""The kinds of catalog. Each keeps what ``storage/catalog`` promises, in a place of its own."""
