"""Django's command line for the example: migrate, runserver, test.

pip install 'loyaltykit[sql]' django
python manage.py migrate
python manage.py test
"""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
