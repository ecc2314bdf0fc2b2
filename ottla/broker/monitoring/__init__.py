"""The clients that are connected, with their libraries, and the metrics that they report of themselves."""
