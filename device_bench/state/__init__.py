"""What a device says about itself, and what is changed on it and put back."""
