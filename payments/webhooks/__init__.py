"""How the receivers learn of it: events, fan-out, signature, target check, delivery."""
