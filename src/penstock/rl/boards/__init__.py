"""Board games for two, searched and learned by playing against oneself."""
