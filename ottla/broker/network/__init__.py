"""Sockets. No other room of the broker imports ``socket`` but ``control`` and ``process``; few others await."""
