"""What the environment may contain besides the settings themselves."""
