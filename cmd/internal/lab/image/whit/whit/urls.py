"""WHIT answers one question here: is it well, database included?"""
from django.db import connection
from django.http import JsonResponse
from django.urls import path


def healthz(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        migrations = cursor.fetchone()[0]
    return JsonResponse({"ok": True, "migrations": migrations})


urlpatterns = [path("healthz/", healthz)]
