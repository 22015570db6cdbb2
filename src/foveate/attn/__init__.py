"""The engine: arrange tokens, select blocks, encode numbers, attend, restore order."""
