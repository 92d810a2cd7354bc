"""WHIT for Gunicorn. The settings module is the unit's to name: a unit that forgets it does not start."""
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
