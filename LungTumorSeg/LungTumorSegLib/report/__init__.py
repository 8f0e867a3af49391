"""The report of a result: HTML, pictures, charts."""
