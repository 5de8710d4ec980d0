"""What is promised to the outside, as documents: objects, messages, webhooks and errors."""
