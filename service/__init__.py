"""What all processes share: settings, wiring, engine, logging, access to database and broker."""
