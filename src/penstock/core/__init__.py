"""The words of Penstock as types, and what every room needs: errors, random streams, files."""
