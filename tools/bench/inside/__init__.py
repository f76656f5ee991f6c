"""What the harness runs inside a process of the product: rows by the hundred thousand, and looks at them."""
