"""A stand-in for the Calagopus panel 1.1.4, with the daemon behind it."""
