"""The way to PostgreSQL: engine, limits, patience, group commit and migrations."""
