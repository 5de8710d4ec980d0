"""What every process shares: settings, wiring, engine, logging, the ways to database and broker."""
