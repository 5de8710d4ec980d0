"""Commands for processes of ours that stand alone, as in a container."""
