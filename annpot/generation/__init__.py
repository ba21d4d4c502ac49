"""Structure files -> fingerprint set, part by part: what ``annpot generate`` does."""
