"""The refresh engine: claim, one call, keep the answer, settle."""
