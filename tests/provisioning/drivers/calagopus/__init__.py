"""The Calagopus driver against the sandbox panel."""
