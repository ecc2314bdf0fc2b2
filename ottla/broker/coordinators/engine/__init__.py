"""The engine of every coordinator: decides, appends records, applies them, answers. Knows no group."""
