"""One module for each step; `revision` is the schema's number as four digits."""
