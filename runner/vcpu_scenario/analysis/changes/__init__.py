"""What a kernel does otherwise than the model of a release: rules that nobody knows yet."""
