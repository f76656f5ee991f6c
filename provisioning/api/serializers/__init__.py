"""What the API shows, list by list: every field is named, so that a new column is never shown by itself."""
