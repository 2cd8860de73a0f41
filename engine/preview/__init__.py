"""What the app asks of heavy libraries: one process answers, in lines of JSON, for as long as a wizard is open."""
