"""Django: migrations forth and back, models, relations, transactions, iterators, its own auth tables."""

import datetime
import os
import sys

import django
from django.conf import settings

from steps import error, port, show

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "django_site"))
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.postgres", "shop"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": port(),
            "USER": "app",
            "NAME": "app",
            "OPTIONS": {"sslmode": "disable"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, F, Sum  # noqa: E402
from shop.models import Customer, Order  # noqa: E402

call_command("migrate", verbosity=1, no_color=True)
call_command("showmigrations", "shop", no_color=True)
show("filled", list(Customer.objects.values_list("name", "email")))
customers = [Customer.objects.create(name=f"c{i}", joined=datetime.datetime(2024, 1, i + 1, tzinfo=datetime.timezone.utc)) for i in range(5)]
Order.objects.bulk_create(
    Order(customer=c, amount=f"{i}.50", tags=[f"t{i}"], details={"n": i}) for c in customers for i in range(4)
)
show("count", Order.objects.count())
show("aggregates", Order.objects.aggregate(Sum("amount"), Avg("amount")))
show("annotated", list(Customer.objects.annotate(n=Count("orders")).order_by("name").values_list("name", "n")))
show("related", [(o.customer.name, o.amount) for o in Order.objects.select_related("customer").order_by("id")[:3]])
show("prefetched", [len(c.orders.all()) for c in Customer.objects.prefetch_related("orders").order_by("id")])
show("json", Order.objects.filter(details__n=2).count())
show("array", Order.objects.filter(tags__contains=["t1"]).count())
show("update", Order.objects.filter(details__n=1).update(amount=F("amount") + 1))
show("get_or_create", [Customer.objects.get_or_create(name=n)[1] for n in ("c1", "fresh")])
show("update_or_create", Customer.objects.update_or_create(name="c2", defaults={"email": "a@b.c"})[1])
try:
    with transaction.atomic():
        Customer.objects.create(name="c1")
except IntegrityError as exception:
    error("unique", exception)
with transaction.atomic():
    Customer.objects.create(name="outer")
    try:
        with transaction.atomic():
            Customer.objects.create(name="inner")
            raise RuntimeError("roll back")
    except RuntimeError:
        pass
    locked = Customer.objects.select_for_update().get(name="outer")
    show("locked", locked.name)
show("nested", list(Customer.objects.filter(name__in=["outer", "inner"]).values_list("name", flat=True)))
show("iterator", sum(1 for _ in Order.objects.order_by("id").iterator(chunk_size=3)))
show("delete", Customer.objects.filter(name="c0").delete())
show("raw", [c.name for c in Customer.objects.raw("select * from shop_customer where name like %s order by id", ["c%"])])
with connection.cursor() as cursor:
    cursor.execute("select current_setting('TimeZone')")
    show("time zone", cursor.fetchone())
from django.contrib.auth.models import Group, User  # noqa: E402

user = User.objects.create(username="someone")
user.groups.add(Group.objects.create(name="group"))
show("auth", list(User.objects.filter(groups__name="group").values_list("username", flat=True)))
show("tables", sorted(connection.introspection.table_names())[:4])
call_command("migrate", "shop", "0001", verbosity=1, no_color=True)
call_command("migrate", "shop", "zero", verbosity=1, no_color=True)
call_command("migrate", "auth", "zero", verbosity=0, no_color=True)
call_command("migrate", "contenttypes", "zero", verbosity=0, no_color=True)
with connection.cursor() as cursor:
    cursor.execute("drop table django_migrations")
