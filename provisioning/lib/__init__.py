"""Small tools without a database: time, HTTP, redaction, rates, ciphers, names. No Django in here."""
