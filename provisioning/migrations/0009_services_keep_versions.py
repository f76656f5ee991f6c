"""Each service keeps its product as it is at this moment: version 1. Apart from the schema, for PostgreSQL."""

from django.db import migrations
from django.utils import timezone


def keep_versions(apps, schema_editor):
    """One version for each product, whether it was sold yet or not."""
    Product = apps.get_model("provisioning", "Product")
    ProductVersion = apps.get_model("provisioning", "ProductVersion")
    Service = apps.get_model("provisioning", "Service")
    now = timezone.now()
    for product in Product.objects.iterator(chunk_size=500):
        version = ProductVersion.objects.create(
            product=product,
            number=1,
            panel_id=product.panel_id,
            document=product.document,
            created_at=now,
            note="As it was when versions began to be kept.",
        )
        Service.objects.filter(product=product).update(product_version=version)


def forget_versions(apps, schema_editor):
    """Services point nowhere again, so that the tables can go."""
    apps.get_model("provisioning", "Service").objects.update(product_version=None)
    apps.get_model("provisioning", "ProductVersion").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0009_product_versions"),
    ]

    operations = [migrations.RunPython(keep_versions, forget_versions)]
