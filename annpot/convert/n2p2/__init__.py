"""n2p2 and RuNNer: potentials and inputs."""
