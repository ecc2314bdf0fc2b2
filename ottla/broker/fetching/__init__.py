"""Reads what fetches ask for, waits where there is not enough of it, remembers sessions."""
