"""Compacts logs: keeps the newest record of each key, byte for byte as Apache's cleaner does.

``cleaner`` picks a log, ``dirtiness`` the part of it, ``rounds`` rewrites that, and ``swap`` puts it in place. All work
is in steps, and none of it changes the last segment.
"""
