"""What is kept: rows in one database, files in one folder, written so that a crash loses nothing."""
