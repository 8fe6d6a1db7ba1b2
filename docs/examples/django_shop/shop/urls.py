"""Where the views are."""

from django.urls import path

from shop import views

urlpatterns = [
    path("orders/<str:number>", views.checkout),
    path("members/<str:member>", views.standing),
]
