"""The read API of staff and machine users, `/api/v1/`: it shows everything but secrets, changes nothing."""
