"""The report of a result: HTML, pictures and charts."""
