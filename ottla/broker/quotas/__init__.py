"""How much clients may ask for, what they had, and how they are slowed down."""
