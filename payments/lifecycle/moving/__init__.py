"""Moves: the only place a state changes."""
