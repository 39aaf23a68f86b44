"""What searches of projections share: conditions and orders to SQL, pages and their tokens."""
