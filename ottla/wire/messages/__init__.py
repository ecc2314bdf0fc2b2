"""The protocol's messages, one module per family of APIs, loaded on demand."""
