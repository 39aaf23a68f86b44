"""What the searches of this service share: conditions and orders to SQL, pages and their tokens."""
