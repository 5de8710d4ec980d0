"""Approval by a second person: what needs it, who may give it, and what follows."""
