"""Nodes, who leads what, where replicas go."""
