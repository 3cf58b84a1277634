"""The app: its folders are the way of a release."""
