"""Keeps the newest record of each key, byte for byte as Apache's cleaner does."""
