"""Classic groups: join, sync, heartbeat, leave (KIP-62, KIP-345)."""
