"""What every HTTP request passes before its route, and what becomes of whatever is raised."""
