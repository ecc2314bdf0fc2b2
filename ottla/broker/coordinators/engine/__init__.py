"""Decide, append, apply, answer: what every coordinator does with its records. Knows no group."""
