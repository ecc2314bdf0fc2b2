"""Makes a stopped Apache broker's folder Ottla's. Runs offline, beside no broker."""
