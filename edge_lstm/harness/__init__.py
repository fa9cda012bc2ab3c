"""Sequences through an engine: what comes out, how long it takes, and what that is worth."""
