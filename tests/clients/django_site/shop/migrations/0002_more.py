"""Columns, an index and rows that are filled in."""

from django.db import migrations, models


def fill(apps, schema_editor):
    customer = apps.get_model("shop", "Customer")
    customer.objects.create(name="from the migration")


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("Customer", "email", models.EmailField(blank=True, default=""), preserve_default=False),
        migrations.AddField("Customer", "joined", models.DateTimeField(null=True)),
        migrations.AddField("Order", "details", models.JSONField(default=dict)),
        migrations.AddIndex("Order", models.Index(fields=["amount"], name="shop_order_amount")),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunSQL("comment on table shop_order is 'orders'", migrations.RunSQL.noop),
    ]
