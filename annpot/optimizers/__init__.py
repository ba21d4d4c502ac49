"""Ways to minimise the loss: each yields states, from any of which it can go on."""
