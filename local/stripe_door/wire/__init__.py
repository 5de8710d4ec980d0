"""What goes over the wire: forms in, JSON and events out."""
