"""Sockets, requests, coordinators: the only room that awaits."""
