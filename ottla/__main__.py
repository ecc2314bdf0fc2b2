"""The command `ottla`, as `python -m ottla`."""

from ottla.cli import main

main(prog_name="ottla")
