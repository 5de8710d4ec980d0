"""Everything on one machine: embedded servers, the supervisor and the demo."""
