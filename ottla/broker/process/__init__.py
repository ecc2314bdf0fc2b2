"""What a broker's process is made of: options, descriptors, disk threads, regular work."""
