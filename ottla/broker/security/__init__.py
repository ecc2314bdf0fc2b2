"""Principals and their credentials. Knows no socket and no request."""
