"""One plain function per API, in modules named after the families of ``ottla.wire.messages``."""
