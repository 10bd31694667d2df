"""What goes out: encoders of a reading."""
