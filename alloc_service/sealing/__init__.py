"""Keys, envelopes, escrow and the sealer."""
