"""Drivers: each speaks one panel's API and knows nothing of our tables (docs/drivers.md)."""
