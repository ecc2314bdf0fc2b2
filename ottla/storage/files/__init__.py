"""The only room that touches files: segment files, locks, checkpoints, identities."""
