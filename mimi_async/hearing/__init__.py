"""What a hearing profile is made of."""
