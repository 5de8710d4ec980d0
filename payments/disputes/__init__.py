"""Disputes: what processors tell of them, and looking them up."""
