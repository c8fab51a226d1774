"""One file a question; ``python -m studies`` lists them."""
