"""The demo as people see it: a real browser on the pages of a real, running demo."""
