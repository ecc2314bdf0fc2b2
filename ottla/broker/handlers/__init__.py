"""The handlers: a plain function for each API, in modules named after the families of ``ottla.wire.messages``."""
