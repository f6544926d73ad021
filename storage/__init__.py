"""What must outlive a crash: the rows that say *what*, the bytes on disk, and the rules between states."""
