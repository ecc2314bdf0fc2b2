"""Opens what a crash left behind; checks and repairs damaged logs."""
