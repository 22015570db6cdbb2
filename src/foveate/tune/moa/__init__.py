"""MoA: rules for the span of every head, found on the model's own answers.

    answer (calibrate, items) → profile (gradients, influence) → optimise (rules, optimise)
    → validate → MoAPlan (plan)

`pipeline.find` is the whole way. The one thing to know: importing this package imports none of it,
because reading a plan must not need transformers or scipy.
"""
