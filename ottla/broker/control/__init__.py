"""The commands that programs may give a running broker: questions, and nodes to stop or start."""
