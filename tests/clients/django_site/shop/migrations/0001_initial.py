"""The first tables."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=50, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("amount", models.DecimalField(max_digits=10, decimal_places=2)),
                ("tags", django.contrib.postgres.fields.ArrayField(models.CharField(max_length=20), default=list)),
                ("customer", models.ForeignKey("shop.Customer", models.CASCADE, related_name="orders")),
            ],
        ),
    ]
