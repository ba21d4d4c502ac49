"""What spoils fits, found before they start: one module for each kind of check."""
