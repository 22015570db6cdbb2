"""MoA: rules for the span of every head, found on the model's own answers."""
