"""What a design does: exact figures, simulations and pictures; pure."""
