"""What a trial is: arms, factors, criteria, scores and schedule; pure."""
