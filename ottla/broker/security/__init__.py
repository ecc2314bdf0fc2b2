"""Who may do what: credentials and principals. Knows no socket and no request."""
