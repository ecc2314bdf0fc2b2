"""Opens logs as a crash left them; checks and repairs damaged ones.

It reads files that nobody appends to: a log before it is served, or the logs of a stopped broker.
"""
