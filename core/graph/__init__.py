"""What a workflow is: the model, the front ends that read it, and validation. No clock, no I/O."""
