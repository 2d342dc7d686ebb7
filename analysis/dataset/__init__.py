"""What makes a folder of files a data set: its dictionary, metadata that other tools read, and checksums."""
