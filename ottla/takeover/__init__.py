"""The takeover of a stopped Apache broker's data. Runs offline: no broker may have the folder open."""
