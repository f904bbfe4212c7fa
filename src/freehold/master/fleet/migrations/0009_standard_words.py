from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("fleet", "0008_move_count")]
    operations = [migrations.RenameField("Node", "obeyed", "acknowledged_lease")]
