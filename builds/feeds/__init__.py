"""What other programs read: old addresses and foreign formats, all from the same rows."""
