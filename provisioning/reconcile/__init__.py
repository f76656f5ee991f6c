"""Makes what panels show equal to what services should be: lease, look, plan, gate, apply, look again."""
