"""What comes from outside, mutated a million times: parsers refuse in their own words, or read."""
