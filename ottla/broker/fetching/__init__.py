"""Reads records for fetches, waits while there are too few of them, remembers fetch sessions."""
