from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial")]

    operations = [migrations.RenameModel("Counter", "LastReading")]
