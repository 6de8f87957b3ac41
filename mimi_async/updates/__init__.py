"""Updates of the user: who gets them, in which order, and how one is delivered."""
