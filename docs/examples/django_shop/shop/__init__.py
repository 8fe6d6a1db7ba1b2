"""The shop: its orders, its views, and its club."""
