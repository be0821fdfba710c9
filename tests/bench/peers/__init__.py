"""Servers that are measured beside each other, and what is counted while they work."""
