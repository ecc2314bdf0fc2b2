"""Errors whose message is one sentence for a person, who sees only that sentence."""


class StartError(Exception):
    """The error of a broker that cannot start."""


class CommandError(Exception):
    """The error of a command that a running broker cannot carry out."""
