"""The parts of a broker's process: options, file descriptors, disk threads, regular work."""
