"""How the bundled weights and clips were made, runnable again."""
