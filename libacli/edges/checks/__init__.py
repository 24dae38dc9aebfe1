"""What `liba doctor` looks at: a function for each check, and none of them changes anything."""
