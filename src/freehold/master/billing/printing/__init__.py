"""Documents as PDF: what they say (`content`), how they look (`document.typ`), and the process that sets them."""
