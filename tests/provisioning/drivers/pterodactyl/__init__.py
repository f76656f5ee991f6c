"""Tests of the Pterodactyl driver, over real HTTP against the sandbox panel."""
