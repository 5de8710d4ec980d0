"""What every HTTP request passes before its route, and how exceptions are answered."""
