from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="logchunk",
            index=models.Index(fields=["build", "first_line"], name="chunk_by_line"),
        ),
    ]
