"""The tables: the shop's own, then those of loyaltykit."""
