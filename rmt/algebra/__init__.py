"""Operations on laws, one a file."""
