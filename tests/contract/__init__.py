"""The sandbox is held to what the real programs answered."""
