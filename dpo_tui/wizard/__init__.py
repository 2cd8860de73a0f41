"""A new run in five steps, each filled in: template, model, data, launcher, review."""
