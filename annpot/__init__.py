"""Neural network interatomic potentials in three commands: generate, train, predict."""
