"""What strangers, customers, senders, panels and staff with few rights can reach, and what they can't."""
