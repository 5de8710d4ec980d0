"""What the console shows. Each page reads what it shows in one go, by indexes."""
