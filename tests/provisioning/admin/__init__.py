"""Staff's pages, as staff's browsers see them."""
