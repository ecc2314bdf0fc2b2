"""Quotas: the limits of clients, what they have used of them, and how they are slowed down."""
