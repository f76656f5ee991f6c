"""The door for billing events: verifies, keeps, answers. Nothing is parsed and no panel is called here."""
