"""The API's documentation, as it is served."""

from starlette.routing import Route

ROUTES: list[Route] = []
