"""Routes for those who keep the books."""
