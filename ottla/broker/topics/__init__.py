"""Topics and their partitions, as their leaders see them."""
