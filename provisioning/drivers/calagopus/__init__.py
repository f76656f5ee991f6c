"""Calagopus 1.1: the Admin API (recorded from 1.1.4; docs/panels/calagopus.md)."""
