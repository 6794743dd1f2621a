"""What is done with a batch: losses, updates and evaluations of each family."""
