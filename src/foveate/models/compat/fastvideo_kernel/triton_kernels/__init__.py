"""Names of kernels that are written in Triton there; plain functions here."""
