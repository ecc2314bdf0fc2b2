"""From a request's bytes to its handler, and back to the bytes of an answer."""
