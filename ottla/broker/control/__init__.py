"""What programs may ask a running broker, or tell it to do."""
