"""aenet: potentials, training sets and inputs."""
