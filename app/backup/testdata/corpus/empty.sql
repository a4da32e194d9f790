-- An empty database.

SELECT;
