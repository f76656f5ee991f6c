"""The inbox: verified events are kept first and worked on later, each exactly once in effect."""
