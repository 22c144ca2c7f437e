"""Write the committed OpenAPI document anew: `python -m node.web`."""

from node.web import openapi
from node.web.server import DOCUMENT, ROUTES

if __name__ == "__main__":
    DOCUMENT.write_bytes(openapi.encode(openapi.document(ROUTES)))
