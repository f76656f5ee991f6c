import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0005_database_mark"),
    ]

    operations = [
        migrations.AddField(
            model_name="panel",
            name="identity_provider",
            field=models.UUIDField(
                blank=True,
                help_text="The panel's id of billing as a place to sign in, where the panel has such. Blank: none.",
                null=True,
                verbose_name="identity provider",
            ),
        ),
        migrations.CreateModel(
            name="PanelWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "started",
                    models.FloatField(
                        default=0, help_text="First call of the window, in seconds of the one clock."
                    ),
                ),
                (
                    "last",
                    models.FloatField(default=0, help_text="The newest call, in seconds of the one clock."),
                ),
                ("calls", models.PositiveIntegerField(default=0)),
                (
                    "panel",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="window",
                        to="provisioning.panel",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LaterCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=20)),
                ("data", models.JSONField(default=dict)),
                (
                    "generation",
                    models.PositiveIntegerField(help_text="A newer change makes this check needless."),
                ),
                ("due_at", models.DateTimeField(db_index=True)),
                (
                    "told",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How often the machine was told again."
                    ),
                ),
                (
                    "waits",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How often it could not be looked at."
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="later_checks",
                        to="provisioning.service",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("service", "kind"), name="later_check_once")],
            },
        ),
    ]
