"""The real processes on loopback ports: what goes in and what is seen goes through HTTP alone."""
