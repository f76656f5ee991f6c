"""The imitated panel: Pterodactyl 1.11.7, its Application API and the recorded part of its Client API."""
