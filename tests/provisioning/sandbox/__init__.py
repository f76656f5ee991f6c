"""The sandbox's own behaviour, over real HTTP on the loopback."""
