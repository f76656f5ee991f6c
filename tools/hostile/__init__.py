"""The front door under fire: hostile requests over real HTTP (B7, B8), and a web server that dies (B9)."""
