"""What goes in and out, as OpenAPI describes it: one file for each kind of request."""
