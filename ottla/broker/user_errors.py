"""Errors whose message is one sentence for a person, who sees nothing else."""


class StartError(Exception):
    """The broker cannot start."""


class CommandError(Exception):
    """A command to a running broker cannot be done."""
