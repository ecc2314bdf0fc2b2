"""Holds the kinds of catalog. Each keeps the promises of ``storage/catalog`` in a place of its own and knows no log."""
