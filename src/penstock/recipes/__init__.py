"""One typed, validated description for each task; nothing heavy is imported until it is built."""
