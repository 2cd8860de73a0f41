"""Parts of screens. They know nothing of the app: they post messages, and screens decide."""
