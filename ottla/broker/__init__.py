"""The broker: sockets, requests, coordinators. The only room that awaits."""
