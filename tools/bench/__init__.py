"""`make bench`: how fast the real product is, as ratios to a reference of the same run, or as counts."""
