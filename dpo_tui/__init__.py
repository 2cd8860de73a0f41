"""The app: everything a person sees. It never imports torch or anything that does."""

__version__ = "0.1.0"
