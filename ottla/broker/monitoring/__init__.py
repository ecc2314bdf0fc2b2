"""Who is connected, with which library, and what clients report of themselves."""
