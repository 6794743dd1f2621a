"""What makes training fast on this machine: kernels, layouts, threads, compilation, and rules that choose."""
