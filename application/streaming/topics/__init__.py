"""What is known of one topic, and which events follow from a value."""
