"""What a session costs: `make bench`."""
