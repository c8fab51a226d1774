"""One file or folder a question; ``python -m studies`` lists them."""
