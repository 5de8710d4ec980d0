"""What `billing doctor` looks at; one part of the installation per file."""
