"""Ways to minimise the loss. Each calls back after an epoch with weights and values."""
