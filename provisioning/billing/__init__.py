"""What billing systems say, as data of our own: no ORM, no HTTP (docs/events.md)."""
