"""Forms from JSON schemas: fields, what is kept from being shown, and what a browser can check by itself."""
