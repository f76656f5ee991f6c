"""Pterodactyl 1.11: the Application API (recorded from 1.11.7; docs/panels/pterodactyl.md)."""
